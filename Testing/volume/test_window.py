"""Which voxel values become black and white."""

from __future__ import annotations

import numpy as np
import pytest

from med2e3.errors import InputError
from med2e3.volume import PRESETS, Scan, choose_window, prepare

MATRIX = np.diag([-1.0, -1.0, 1.0, 1.0])
RANDOM = np.random.default_rng(2)


def ct(modality: str = "CT") -> Scan:
    voxels = np.full((10, 30, 30), -1000, np.int16)
    voxels[:, 5:25, 5:25] = 40
    voxels[:, 8:14, 8:20] = -850
    voxels += RANDOM.integers(-20, 20, voxels.shape, dtype=np.int16)
    return Scan(voxels, MATRIX, modality)


def mr() -> Scan:
    voxels = RANDOM.gamma(2, 150, (10, 30, 30)).astype(np.int16)
    voxels[5, 5, 5] = 30000
    return Scan(voxels, MATRIX, "MR")


@pytest.mark.parametrize(
    ("name", "lower", "upper"),
    [
        ("lung", -1350, 150),
        ("mediastinum", -125, 225),
        ("abdomen", -150, 250),
        ("bone", -500, 1300),
        ("brain", 0, 80),
    ],
)
def test_presets(name, lower, upper):
    window = choose_window(name, ct())
    assert (window.lower, window.upper) == (lower, upper)
    assert window.name == name
    assert choose_window(name.upper() + " ", ct()) == window


def test_every_preset_is_tested():
    assert set(PRESETS) == {"lung", "mediastinum", "abdomen", "bone", "brain"}


def test_a_preset_needs_hounsfield_units():
    with pytest.raises(InputError, match="modality MR does not have; choose auto"):
        choose_window("lung", mr())
    unknown = Scan(mr().voxels, MATRIX)
    assert "Hounsfield" in " ".join(choose_window("lung", unknown).warnings)
    assert choose_window("lung", ct("")).warnings == ()


@pytest.mark.parametrize(
    ("text", "lower", "upper"),
    [("40,400", -160, 240), (" -600 , 1500 ", -1350, 150), ("0.5,1", 0, 1), ("1e3,2e3", 0, 2000)],
)
def test_centre_and_width(text, lower, upper):
    window = choose_window(text, ct())
    assert (window.lower, window.upper) == (lower, upper)
    again = choose_window(window.name, ct())
    assert (again.lower, again.upper) == (lower, upper)


@pytest.mark.parametrize(
    "text", ["", "soft", "40", "40,", ",400", "40,400,2", "40,0", "40,-5", "nan,5", "5,inf", "a,b"]
)
def test_what_is_no_window(text):
    with pytest.raises(InputError) as caught:
        choose_window(text, ct())
    assert repr(text) in str(caught.value)
    assert "mediastinum" in str(caught.value)
    assert "40,400" in str(caught.value)


def test_auto_for_ct_is_soft_tissue():
    window = choose_window("auto", ct())
    assert (window.lower, window.upper) == (-150, 250)
    assert window.warnings == ()
    assert "soft tissue" in window.description
    unknown = choose_window("auto", ct(""))
    assert (unknown.lower, unknown.upper) == (-150, 250)
    assert "does not say what it is" in unknown.warnings[0]


def test_auto_for_others_takes_robust_percentiles():
    scan = mr()
    window = choose_window("auto", scan)
    assert window.lower == pytest.approx(np.percentile(scan.voxels, 0.5))
    assert window.upper == pytest.approx(np.percentile(scan.voxels, 99.5))
    assert window.upper < 3000


def test_auto_says_that_a_scan_of_no_known_kind_is_not_what_the_model_knows():
    unknown = Scan(mr().voxels, MATRIX)
    (warning,) = choose_window("auto", unknown).warnings
    assert "trained" in warning
    assert choose_window("auto", Scan(mr().voxels, MATRIX, "MR")).warnings == ()


def test_auto_leaves_8_bit_pictures_as_they_are():
    picture = RANDOM.integers(0, 200, (6, 30, 30)).astype(np.uint8)
    window = choose_window("auto", Scan(picture, MATRIX))
    assert (window.lower, window.upper) == (0, 255)
    prepared = prepare(Scan(picture + np.uint8(1), MATRIX), "acquired", "auto", (6, 30, 30))
    np.testing.assert_allclose(prepared.volume[0], (picture + 1.0) / 255, atol=1e-6)


def test_auto_leaves_fractions_as_they_are():
    fractions = RANDOM.random((6, 30, 30)).astype(np.float32)
    window = choose_window("auto", Scan(fractions, MATRIX))
    assert window.keeps_values
    assert window.warnings == ()


def test_none_keeps_the_values_and_tells_where_that_is_not_meant():
    window = choose_window("none", ct())
    assert window.keeps_values
    assert "went in unchanged" in window.warnings[0]


@pytest.mark.parametrize("scan", [ct(), ct(""), mr()])
def test_the_name_of_a_window_gives_it_again(scan):
    first = choose_window("auto", scan)
    again = choose_window(first.name, scan)
    assert again.lower == pytest.approx(first.lower)
    assert again.upper == pytest.approx(first.upper)
