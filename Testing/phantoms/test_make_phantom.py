"""The phantoms' truth is in their voxels: same body on every grid, findings where they say."""

from __future__ import annotations

import collections
import functools

import numpy as np
import pytest

from med2e3.phantoms import (
    DRAFT_GRID,
    FINDINGS,
    LEVELLED,
    LEVELS,
    PHASES,
    REGIONS,
    SCAN_GRID,
    SIDED,
    Grid,
    make_phantom,
)
from med2e3.volume import Scan, prepare

COARSE = Grid(40, 96, 96)
SEEDS = range(130)

made = functools.cache(functools.partial(make_phantom, grid=COARSE))


def ras_of(phantom, mask: np.ndarray) -> np.ndarray:
    """(N, 3): where the voxels of a mask lie, in RAS mm."""
    ijk = np.argwhere(mask)[:, ::-1]
    return ijk @ phantom.ijk_to_ras[:3, :3].T + phantom.ijk_to_ras[:3, 3]


def around(phantom, f, reach_mm: float = 10) -> float:
    """The median density of a finding's organ next to the finding; nan where there is none."""
    spacing = np.linalg.norm(phantom.ijk_to_ras[:3, :3], axis=0)[::-1]
    places = np.argwhere(f.mask)
    grow = np.ceil(reach_mm / spacing).astype(int)
    low, high = np.maximum(places.min(0) - grow, 0), places.max(0) + grow + 1
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    if f.organ not in phantom.organs:
        return float("nan")
    rim = phantom.organs[f.organ][box] & ~np.any([o.mask[box] for o in phantom.findings], axis=0)
    return float(np.median(phantom.voxels[box][rim])) if rim.any() else float("nan")


@pytest.fixture(scope="module")
def drawn():
    """What many seeds drew, without their voxels: (phantom's region and phase, findings)."""
    facts = []
    for seed in SEEDS:
        phantom = make_phantom(seed, grid=COARSE)
        findings = [
            (f, ras_of(phantom, f.mask), phantom.voxels[f.mask], around(phantom, f))
            for f in phantom.findings
        ]
        facts.append((phantom.region, phantom.phase, findings))
    return facts


def told(phantom):
    return [(f.kind, f.organ, f.side, f.level, f.size_mm, f.center_ras) for f in phantom.findings]


def test_the_same_seed_gives_the_same_scan_and_another_seed_another():
    one, again, other = (make_phantom(seed, grid=COARSE) for seed in (5, 5, 6))
    assert np.array_equal(one.voxels, again.voxels)
    assert np.array_equal(one.ijk_to_ras, again.ijk_to_ras)
    assert told(one) == told(again)
    assert not np.array_equal(one.voxels, other.voxels)


@pytest.mark.parametrize("region", REGIONS)
def test_the_truth_and_the_body_are_the_same_on_every_grid(region):
    coarse, fine = (make_phantom(9, region=region, grid=g) for g in (COARSE, DRAFT_GRID))
    assert (coarse.region, coarse.phase) == (fine.region, fine.phase)
    assert [t[:5] for t in told(coarse)] == [t[:5] for t in told(fine)]
    for a, b in zip(coarse.findings, fine.findings, strict=True):
        np.testing.assert_allclose(a.center_ras, b.center_ras, atol=1e-6)
    # The field of view starts and ends at the same places.
    for phantom in (coarse, fine):
        shape = np.array(phantom.voxels.shape[::-1])
        corners = np.array([[-0.5] * 3, shape - 0.5])
        phantom_corners = corners @ phantom.ijk_to_ras[:3, :3].T + phantom.ijk_to_ras[:3, 3]
        if phantom is coarse:
            expected = phantom_corners
    np.testing.assert_allclose(phantom_corners, expected, atol=1e-6)
    # So do the organs.
    organ = max(coarse.organs, key=lambda name: coarse.organs[name].sum())
    middles = [ras_of(p, p.organs[organ]).mean(0) for p in (coarse, fine)]
    assert np.linalg.norm(middles[0] - middles[1]) < 4


@pytest.mark.parametrize("region", REGIONS)
def test_a_finer_grid_shows_a_model_the_same_picture(region):
    # Data sets are drawn coarsely, and what is learned from them has to hold for what is opened.
    coarse, fine = (
        prepare(Scan(p.voxels, p.ijk_to_ras, "CT"), size=(32, 128, 128)).volume.numpy()
        for p in (make_phantom(1, region=region, grid=g) for g in (DRAFT_GRID, SCAN_GRID))
    )
    assert np.abs(coarse - fine).mean() < 0.02
    # Noise and edges: how much a pixel differs from its neighbour.
    rough, as_rough = (np.abs(np.diff(volume, axis=-1)).mean() for volume in (coarse, fine))
    assert as_rough == pytest.approx(rough, rel=0.1)


def test_every_region_phase_and_kind_occurs_and_a_third_has_no_finding(drawn):
    regions = collections.Counter(region for region, _, _ in drawn)
    phases = collections.Counter(phase for _, phase, _ in drawn)
    counts = collections.Counter(len(findings) for _, _, findings in drawn)
    assert set(regions) == set(REGIONS)
    assert min(regions.values()) > len(SEEDS) / 4 * 0.6
    assert set(phases) == set(PHASES)
    assert min(phases.values()) > len(SEEDS) / 3 * 0.6
    assert set(counts) == {0, 1, 2, 3}
    assert 0.25 < counts[0] / len(SEEDS) < 0.45
    found = {(region, f.organ, f.kind) for region, _, findings in drawn for f, *_ in findings}
    table = {
        (region, organ, kind)
        for region, organs in FINDINGS.items()
        for organ, kinds in organs.items()
        for kind in kinds
    }
    assert found <= table
    assert len(found) > 0.85 * len(table)


def test_no_finding_is_told_twice(drawn):
    for _, _, findings in drawn:
        claims = [(f.kind, f.organ, f.side) for f, *_ in findings]
        assert len(set(claims)) == len(claims)


def test_findings_have_a_side_and_a_level_where_their_organ_has(drawn):
    for _, _, findings in drawn:
        for f, *_ in findings:
            assert f.side in (("left", "right") if f.organ in SIDED else ("",))
            assert f.level in (LEVELS if f.organ in LEVELLED else ("",))


def test_a_mask_lies_where_its_finding_says(drawn):
    for region, _, findings in drawn:
        for f, ras, *_ in findings:
            assert len(ras) > 3, (region, f.kind, f.organ)
            # A shape sampled coarsely is off by a part of a voxel, a thin crescent by more.
            slack = 5 + 0.02 * f.size_mm
            assert np.linalg.norm(ras.mean(0) - f.center_ras) < slack, (f.kind, f.organ)
            if f.side:
                # RAS: the patient's left is where R is negative.
                assert (ras.mean(0)[0] < 0) == (f.side == "left"), (f.kind, f.organ)
            spread = np.linalg.norm(ras - ras.mean(0), axis=1).max()
            assert spread < f.size_mm / 2 * 1.5 + 8, (f.kind, f.organ)
            assert 2 * spread > f.size_mm * 0.55, (f.kind, f.organ)


def test_lesions_have_the_densities_of_their_kind(drawn):
    """In Hounsfield units: water, clotted blood, lime, and what is not air."""
    middles = collections.defaultdict(list)
    for _, _, findings in drawn:
        for f, _, hu, _ in findings:
            middles[f.kind].append(float(np.median(hu)))
    assert all(-15 < hu < 30 for hu in middles["cyst"])
    assert all(-15 < hu < 30 for hu in middles["effusion"])
    assert all(60 < hu < 95 for hu in middles["haemorrhage"])
    assert all(hu > 220 for hu in middles["calcification"])
    assert all(hu > 220 for hu in middles["stone"])
    assert all(-40 < hu < 110 for hu in middles["consolidation"])
    assert all(-20 < hu < 190 for hu in middles["mass"])


def test_lesions_differ_from_the_organ_around_them(drawn):
    """By the medians of the lesion and of the organ within some millimetres of it."""
    checked = collections.Counter()
    for _, phase, findings in drawn:
        for f, _, hu, rim in findings:
            difference = float(np.median(hu)) - rim
            if f.organ == "lung":
                assert difference > 500, (phase, f.kind)
            elif f.kind == "cyst" and f.organ in ("brain", "liver", "spleen", "kidney"):
                assert difference < -15, (phase, f.organ)
            elif f.kind == "mass" and f.organ in ("liver", "spleen", "pancreas"):
                assert abs(difference) > 12, (phase, f.organ)
            elif f.kind in ("calcification", "stone", "haemorrhage") and not np.isnan(rim):
                assert difference > 25, (phase, f.kind, f.organ)
            else:
                continue
            checked[f.kind] += 1
    assert len(checked) >= 6


def test_contrast_medium_brightens_what_it_should():
    """Aorta in the arterial phase, liver and veins in the portal venous one."""
    aorta, liver, vein = ({phase: [] for phase in PHASES} for _ in range(3))
    for seed in range(24):
        phantom = made(seed, region="abdomen")
        for found, organ in ((aorta, "aorta"), (liver, "liver"), (vein, "inferior vena cava")):
            found[phantom.phase].append(np.median(phantom.voxels[phantom.organs[organ]]))
    assert max(aorta["plain"]) < 70
    assert min(aorta["arterial"]) > 200
    assert all(110 < hu < 190 for hu in aorta["portal venous"])
    assert max(liver["arterial"]) < min(liver["portal venous"]) - 20
    assert max(vein["arterial"]) < min(vein["portal venous"]) - 50


@pytest.mark.parametrize(
    ("region", "right", "left"),
    [("abdomen", "liver", "spleen"), ("chest", "liver", "spleen")],
)
def test_the_patient_lies_as_the_matrix_says(region, right, left):
    for seed in range(6):
        phantom = made(seed, region=region)
        organs = phantom.organs
        assert ras_of(phantom, organs[right])[:, 0].mean() > 10
        assert ras_of(phantom, organs[left])[:, 0].mean() < -10
        # The spine is at the back.
        assert (
            ras_of(phantom, organs["spine"])[:, 1].mean()
            < ras_of(phantom, organs[right])[:, 1].mean() - 20
        )


def test_scans_are_stored_in_several_orientations():
    signs = {
        tuple(np.sign(np.diag(made(seed, region="abdomen").ijk_to_ras)[:3])) for seed in range(24)
    }
    assert len(signs) >= 3


@pytest.mark.parametrize("region", REGIONS)
def test_it_is_a_scan_for_the_model(region):
    phantom = made(3, region=region)
    assert phantom.voxels.dtype == np.int16
    prepared = prepare(Scan(phantom.voxels, phantom.ijk_to_ras, "CT"))
    assert (prepared.window.lower, prepared.window.upper) == (-150, 250)


def test_an_unknown_region_is_refused():
    with pytest.raises(ValueError, match="region is 'toe'"):
        make_phantom(1, region="toe")
