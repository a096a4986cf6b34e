"""From a seed to a phantom: who, which findings, and how the scanner looked at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from med2e3.phantoms import abdomen, chest, head, pelvis
from med2e3.phantoms.body import FieldOfView, Lesions, Person, add_noise
from med2e3.phantoms.canvas import Canvas
from med2e3.phantoms.contrast import TISSUES
from med2e3.phantoms.findings import SIDES, Draw, Lesion, Wanted, draw_findings
from med2e3.phantoms.phantom import DRAFT_GRID, PHASES, REGIONS, SCAN_GRID, Finding, Grid, Phantom
from med2e3.phantoms.shapes import box, measure

Value = TypeVar("Value", np.int16, np.bool_)

_PAINTERS: dict[str, ModuleType] = {
    "head": head, "chest": chest, "abdomen": abdomen, "pelvis": pelvis,
}  # fmt: skip
_SEEN_VOXELS = 40
_BIGGER_MALE = 0.03


def make_phantom(seed: int, *, region: str | None = None, grid: Grid = SCAN_GRID) -> Phantom:
    """A synthetic CT with its truth: the same body, findings and field of view on every grid.

    ``region`` is one of REGIONS; without it the seed draws one. About one phantom in five has
    no finding. Raises ValueError for an unknown region.
    """
    if region is not None and region not in REGIONS:
        raise ValueError(f"region is {region!r}; it must be one of {', '.join(REGIONS)}")
    # One stream for each concern: what one of them draws leaves the others as they are.
    scanner, who, body, chosen, lesions, noise = (
        np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(6)
    )
    drawn = REGIONS[scanner.integers(len(REGIONS))]
    region = region or drawn
    phase = PHASES[scanner.integers(len(PHASES))]
    sex = ("female", "male")[who.integers(2)]
    person = Person(body, sex, TISSUES[phase], fat=float(who.uniform(0.7, 1.7)))
    scale = float(who.uniform(0.93, 1.04)) + (_BIGGER_MALE if sex == "male" else 0)

    painter = _PAINTERS[region]
    canvas = _canvas(painter.FIELD, scanner, grid)
    makers = painter.paint(canvas, person)
    ijk_to_ras = _ijk_to_ras(canvas, scale, scanner)
    findings = tuple(
        _paint_finding(canvas, wanted, lesion, scale, ijk_to_ras)
        for wanted, lesion in _lesions(draw_findings(chosen, region, sex), makers, person, lesions)
    )
    add_noise(canvas, noise, float(scanner.uniform(7, 14)), DRAFT_GRID)
    voxels = np.clip(np.rint(canvas.hu), -1024, 3071).astype(np.int16)
    organs = {
        organ: mask
        for organ in canvas.organs
        if (mask := canvas.organ_mask(organ)).sum() > _SEEN_VOXELS and organ != "skin"
    }
    return _stored(Phantom(seed, region, phase, voxels, ijk_to_ras, findings, organs), scanner)


def _canvas(field: FieldOfView, scanner: np.random.Generator, grid: Grid) -> Canvas:
    """The field of view: a little wider or closer, and cut at different heights."""
    zoom = float(scanner.uniform(0.97, 1.08))
    dx, dy = scanner.uniform(-4, 4, 2)
    below, above = scanner.uniform(-12, 8, 2)
    low = (field.low[0] * zoom + dx, field.low[1] * zoom + dy, field.low[2] - below)
    high = (field.high[0] * zoom + dx, field.high[1] * zoom + dy, field.high[2] + above)
    # What the scanner resolves does not depend on how finely it is sampled.
    resolution = (high[0] - low[0]) / DRAFT_GRID.columns
    return Canvas((grid.slices, grid.rows, grid.columns), low, high, resolution)


def _lesions(
    wanted: list[Wanted], makers: Lesions, person: Person, random: np.random.Generator
) -> Iterator[tuple[Wanted, Lesion]]:
    """The lesions in the order of their painting; those of one organ keep their distance."""
    draws: dict[tuple[str, int], Draw] = {}
    for one in wanted:
        draw = draws.setdefault((one.organ, one.side), Draw(random, one.side, person.tissues))
        yield one, makers[(one.organ, one.kind)](draw)


def _paint_finding(
    canvas: Canvas,
    wanted: Wanted,
    lesion: Lesion,
    scale: float,
    ijk_to_ras: NDArray[np.float64],
) -> Finding:
    """Paint a lesion and say where it is. ``scale`` is the person's size against the usual."""
    for shape, hu in lesion.layers:
        canvas.paint(shape, hu)
    centre, size = measure(lesion.shape & box(canvas.low, canvas.high))
    first = np.array(canvas.low) + np.array(canvas.spacing) / 2
    ijk = (centre - first) / canvas.spacing
    ras = ijk_to_ras[:3, :3] @ ijk + ijk_to_ras[:3, 3]
    return Finding(
        kind=wanted.kind,
        organ=wanted.organ,
        side=SIDES[wanted.side],
        level=lesion.level,
        size_mm=round(size * scale, 1),
        center_ras=(float(ras[0]), float(ras[1]), float(ras[2])),
        mask=canvas.mask(lesion.shape),
    )


def _ijk_to_ras(canvas: Canvas, scale: float, scanner: np.random.Generator) -> NDArray[np.float64]:
    """Where the canvas's voxels lie: the patient's place on the table, rarely a tilted gantry."""
    place = scanner.uniform((-3, -60, -900), (3, 60, 900))
    tilt = np.deg2rad(scanner.uniform(-9, 9)) if scanner.random() < 0.06 else 0.0
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    matrix = np.eye(4)
    axes = np.diag([-scale, -scale, scale])
    matrix[:3, :3] = turn @ axes @ np.diag(canvas.spacing)
    first = np.array(canvas.low) + np.array(canvas.spacing) / 2
    matrix[:3, 3] = turn @ axes @ first + place
    return matrix


def _stored(phantom: Phantom, scanner: np.random.Generator) -> Phantom:
    """The phantom as its file holds it: now and then an axis runs the other way."""
    chances = ((0, 0.15), (1, 0.1), (2, 0.1))
    flips = tuple(axis for axis, chance in chances if scanner.random() < chance)
    if not flips:
        return phantom
    matrix = phantom.ijk_to_ras.copy()
    for axis in flips:
        column = 2 - axis
        last = phantom.voxels.shape[axis] - 1
        matrix[:3, 3] += last * matrix[:3, column]
        matrix[:3, column] *= -1

    def flip(values: NDArray[Value]) -> NDArray[Value]:
        return np.ascontiguousarray(np.flip(values, flips))

    return replace(
        phantom,
        voxels=flip(phantom.voxels),
        ijk_to_ras=matrix,
        findings=tuple(replace(finding, mask=flip(finding.mask)) for finding in phantom.findings),
        organs={organ: flip(mask) for organ, mask in phantom.organs.items()},
    )
