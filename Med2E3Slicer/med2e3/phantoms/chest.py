"""A chest CT with contrast medium, made of simple shapes, with one nodule at a known place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from med2e3.phantoms.canvas import Canvas, Field, ellipse, ramp, smooth_noise

SIZE = (80, 256, 256)
"""(slices, rows, columns)"""
SPACING_MM = (3.75, 1.4, 1.4)

AIR, LUNG, FAT, FLUID, MUSCLE = -1000, -850, -100, 15, 55
BLOOD, LIVER, SPLEEN, MYOCARDIUM, SPONGY_BONE, CORTICAL_BONE = 170, 105, 125, 95, 230, 750

_NODULE_HU = 45
_NODULE_RADIUS_MM = (5.0, 10.0)
_NODULE_FROM_WALL_MM = 8.0
_NODULE_FROM_MIDDLE_MM = 62.0
_NOISE_HU = 11

_RIGHT, _LEFT = -1, 1
_HILUM = {_RIGHT: np.array([-42.0, 8.0, 38.0]), _LEFT: np.array([45.0, 8.0, 42.0])}
_SPINE_BACK = 54.0
_VERTEBRA_MM = 25.0
_RIB_MM = 25.0


@dataclass(frozen=True)
class Nodule:
    """A ball of soft tissue in a lung. ``center_ras`` and ``radius`` are in millimetres."""

    center_ras: tuple[float, float, float]
    radius: float


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic scan and what is in it.

    ``voxels`` is int16 (K, J, I) in Hounsfield units, ``ijk_to_ras`` (4, 4) places them in mm.
    """

    voxels: NDArray[np.int16]
    ijk_to_ras: NDArray[np.float64]
    nodule: Nodule
    seed: int


def chest_phantom(seed: int = 0) -> Phantom:
    """A chest CT from the apices to the upper abdomen, the same one for the same seed.

    The seed changes the body's build, the vessels, the noise and where the nodule is.
    """
    random = np.random.default_rng(seed)
    canvas = Canvas(SIZE, SPACING_MM)
    build = float(random.uniform(0.94, 1.04))
    body, cavity = _wall(canvas, random, build)
    dome = _diaphragm(canvas, build)
    lungs = _lungs(canvas, random, cavity, dome)
    _abdomen(canvas, cavity, dome)
    for side in (_RIGHT, _LEFT):
        _lung_vessels(canvas, random, lungs, side)
    _mediastinum(canvas)
    _bones(canvas, body, cavity)
    nodule = _nodule(canvas, random, lungs)
    _table(canvas)
    _noise(canvas, random)
    voxels = np.clip(np.rint(canvas.hu), -1024, 3071).astype(np.int16)
    return Phantom(voxels, _ijk_to_ras(canvas), nodule, seed)


def _wall(canvas: Canvas, random: np.random.Generator, build: float) -> tuple[Field, Field]:
    """Skin, fat and muscle; the distances to the skin and to the inside of the ribs."""
    x, y, z = canvas.x, canvas.y, canvas.z
    shoulders = ramp(z, 70, 140)
    width = build * (164 + 10 * shoulders - 6 * ramp(-z, 60, 140))
    depth = build * (113 - 8 * shoulders)
    body = ellipse(x, y, width, depth, 2.5)
    canvas.paint(body, 20)
    canvas.paint(body + 2.5, FAT + 6 * smooth_noise(random, SIZE, 6))

    # Thin over the breastbone and the spine, thick at the flanks.
    fat = 10 + 9 * np.clip(np.abs(x) / 120, 0, 1) + 5 * ramp(-z, 20, 130)
    muscle = MUSCLE + 12 * smooth_noise(random, SIZE, 7)
    canvas.paint(body + fat, muscle)

    narrowing = np.clip(1 - np.clip((z + 50) / 190, 0, 1) ** 2.2, 0.02, 1)
    cavity = ellipse(x, y + 4, build * 128 * narrowing**0.55, build * 88 * narrowing**0.42, 2.25)
    cavity = np.maximum(cavity, z - 132)
    # The layers between the muscles of the wall, and the armpits, are of fat.
    layers = np.abs(cavity - 21 - 3 * smooth_noise(random, SIZE, 16)) - 1.6
    canvas.paint(np.maximum(np.maximum(layers, body + 8), 45 - np.abs(x)), FAT + 20)
    for side in (_RIGHT, _LEFT):
        armpit = canvas.ellipsoid((side * 130, 0, 95), (15, 30, 55))
        canvas.paint(np.maximum(armpit, 6 - cavity), FAT)
    canvas.paint(cavity, FAT + 8 * smooth_noise(random, SIZE, 5))
    return body, cavity


def _diaphragm(canvas: Canvas, build: float) -> Field:
    """The height (z) of the diaphragm, (1, J, I): the right dome stands higher than the left."""
    x, y = canvas.x / build, canvas.y / build
    right = -42 - 62 * (((x + 68) / 78) ** 2 + ((y + 12) / 88) ** 2) ** 1.25
    left = -56 - 62 * (((x - 68) / 74) ** 2 + ((y + 8) / 86) ** 2) ** 1.25
    dome: Field = np.maximum(right, left).astype(np.float32)
    return dome


def _lungs(canvas: Canvas, random: np.random.Generator, cavity: Field, dome: Field) -> Field:
    """Both lungs with their fissures; the distance to their surface is returned."""
    x, y, z = canvas.x, canvas.y, canvas.z
    middle = 5 + 23 * np.exp(-(((y - 12) / 42) ** 2)) + 10 * ramp(z, 60, 120)
    lungs: Field = np.maximum(cavity + 1, middle - np.abs(x))
    lungs = np.maximum(lungs, (dome - z) * 0.75)
    # The spine stands between the lungs, which reach behind it on both sides.
    lungs = np.maximum(lungs, 25 - np.hypot(x, y - _SPINE_BACK))
    # Air rises: with the patient on the back, the back of the lungs is denser.
    air = LUNG - 30 + 0.35 * (y + 80) + 14 * smooth_noise(random, SIZE, 5)
    canvas.paint(lungs, air)
    fissure = np.abs((z - 15) + 1.0 * (y - 10)) / 1.4 - 0.35
    canvas.paint(np.maximum(fissure, lungs + 0.5), LUNG + 130)
    return lungs


def _abdomen(canvas: Canvas, cavity: Field, dome: Field) -> None:
    y, z = canvas.y, canvas.z
    below = np.maximum(cavity + 3, (z - dome) * 0.75 + 3)
    canvas.paint(np.maximum(below - 3, (dome - z - 14) * 0.75), MUSCLE)
    canvas.paint(below, FAT)
    liver = np.minimum(
        canvas.ellipsoid((-58, 2, -118), (84, 84, 86)),
        canvas.ellipsoid((10, -35, -118), (66, 36, 52)),
    )
    canvas.paint(np.maximum(liver, below + 0.5), LIVER)
    stomach = np.maximum(canvas.ellipsoid((66, -22, -112), (44, 42, 46)), below + 0.5)
    stomach = np.maximum(stomach, 4 - liver)
    canvas.paint(stomach, MUSCLE + 20)
    canvas.paint(stomach + 4, FLUID + 15)
    canvas.paint(np.maximum(stomach + 4, y + 30), AIR)
    spleen = np.maximum(canvas.ellipsoid((92, 38, -112), (33, 44, 42)), below + 0.5)
    canvas.paint(np.maximum(spleen, 3 - stomach), SPLEEN)
    for start, end, radius in (
        ((-70, 10, -90), (-25, 5, -75), 5.0),
        ((-75, -20, -95), (-28, -2, -75), 4.5),
        ((-40, -30, -110), (-95, -10, -125), 5.5),
        ((-95, -10, -125), (-110, 25, -120), 3.5),
    ):
        canvas.paint_capsule(start, end, radius, LIVER + 45)
    canvas.paint_path([(-24, 26, -150), (-24, 22, -95), (-22, 8, -60)], 11.5, BLOOD - 20)
    # The crura of the diaphragm.
    for side in (_RIGHT, _LEFT):
        canvas.paint_path([(side * 14, 34, -150), (side * 16, 30, -85)], 5, MUSCLE)


def _lung_vessels(canvas: Canvas, random: np.random.Generator, lungs: Field, side: int) -> None:
    """A tree from the hilum to points all over the lung, as thick as it has twigs to feed."""
    hilum = _HILUM[side]
    inside = (lungs < -3) & (np.sign(canvas.x) == side)
    places = np.argwhere(inside)
    chosen = places[random.choice(len(places), 900, replace=False)]
    tips = np.stack(
        [canvas.x.ravel()[chosen[:, 2]], canvas.y.ravel()[chosen[:, 1]],
         canvas.z.ravel()[chosen[:, 0]]], axis=1,
    ).astype(np.float64)  # fmt: skip
    tips = tips[np.argsort(np.linalg.norm(tips - hilum, axis=1))]
    nodes, parents = [hilum], [-1]
    for tip in tips:
        known = np.array(nodes)
        # The detour over the hilum counts a little, or all would hang in one chain.
        cost = np.linalg.norm(known - tip, axis=1) + 0.35 * np.linalg.norm(known - hilum, axis=1)
        parent = int(cost.argmin())
        middle = (known[parent] + tip) / 2 + random.normal(0, 1.5, 3)
        nodes += [middle, tip]
        parents += [parent, len(nodes) - 2]
    twigs = np.ones(len(nodes))
    for node in range(len(nodes) - 1, 0, -1):
        twigs[parents[node]] += twigs[node]
    for node in range(1, len(nodes)):
        radius = 0.68 * twigs[node] ** 0.32
        canvas.paint_capsule(nodes[parents[node]], nodes[node], radius, BLOOD - 40)


def _mediastinum(canvas: Canvas) -> None:
    # The heart: fat, muscle, and the blood in its four chambers.
    heart = np.minimum(
        canvas.ellipsoid((24, -26, -22), (52, 42, 48)),
        canvas.ellipsoid((-12, -14, -12), (34, 38, 42)),
    )
    canvas.paint(heart - 5, FAT)
    canvas.paint(heart, MYOCARDIUM)
    for centre, radii in (
        ((42, -16, -28), (24, 22, 34)),  # left ventricle
        ((12, -46, -28), (24, 16, 32)),  # right ventricle
        ((-28, -22, -14), (18, 24, 30)),  # right atrium
        ((8, 10, 2), (28, 15, 20)),  # left atrium
    ):
        canvas.paint(canvas.ellipsoid(centre, radii), BLOOD)

    windpipe = [(0, 14, 150), (0, 16, 110), (-2, 18, 66)]
    canvas.paint_path([(6, 34, 150), (8, 36, 60), (12, 34, -60), (26, 16, -95)], 7, MUSCLE)
    # The great vessels.
    ascending = [(-2, -18, 0), (-14, -24, 25), (-14, -22, 52), (-8, -16, 70)]
    arch = [(-8, -16, 70), (2, -6, 81), (14, 10, 83), (24, 30, 74), (27, 40, 60)]
    descending = [(27, 40, 60), (26, 42, 0), (20, 42, -60), (6, 38, -100), (3, 36, -150)]
    canvas.paint_path(ascending, 16, BLOOD)
    canvas.paint_path(arch, 13.5, BLOOD)
    canvas.paint_path(descending, 12, BLOOD)
    canvas.paint_path([(-2, -8, 82), (-22, 0, 120), (-34, 0, 150)], 5.5, BLOOD)
    canvas.paint_path([(10, 2, 84), (14, 2, 120), (18, 6, 150)], 4, BLOOD)
    canvas.paint_path([(18, 14, 82), (30, 12, 120), (44, 10, 150)], 4.5, BLOOD)
    canvas.paint_path([(-30, -14, 0), (-30, -10, 60), (-28, -14, 105)], 9.5, BLOOD + 30)
    canvas.paint_path([(-28, -14, 105), (10, -32, 112), (46, -22, 135)], 7, BLOOD + 20)
    canvas.paint_path([(-28, -14, 105), (-46, -16, 140)], 7, BLOOD + 20)
    canvas.paint_path([(14, -44, 0), (18, -36, 30), (16, -20, 50)], 14, BLOOD + 10)
    canvas.paint_path([(16, -18, 48), (-10, 0, 46), _HILUM[_RIGHT]], 10, BLOOD + 10)
    canvas.paint_path([(16, -18, 50), (32, -2, 52), _HILUM[_LEFT]], 10, BLOOD + 10)
    for side in (_RIGHT, _LEFT):
        lower = _HILUM[side] + np.array([side * 4, 16, -32])
        canvas.paint_path([_HILUM[side], lower], 7, BLOOD)
        canvas.paint_path([(side * 24, 12, 4), lower + np.array([0, -10, -6])], 6, BLOOD)
        bronchus = [
            np.array([-2, 18, 66]),
            _HILUM[side] + np.array([-side * 6, 12, 2]),
            lower + np.array([-side * 2, -10, 0]),
        ]
        canvas.paint_path(bronchus, 7.5, MUSCLE)
        canvas.paint_path(bronchus, 5.8, AIR)
    canvas.paint_path(windpipe, 10.5, MUSCLE)
    canvas.paint_path(windpipe, 8.6, AIR)
    # The thyroid's lower ends beside the windpipe.
    for side in (_RIGHT, _LEFT):
        canvas.paint_capsule((side * 17, 8, 150), (side * 16, 8, 138), 7, BLOOD)


def _bones(canvas: Canvas, body: Field, cavity: Field) -> None:
    _ribs(canvas, cavity)
    _spine(canvas, body)
    x, y, z = canvas.x, canvas.y, canvas.z
    sternum = np.maximum(np.abs(x) - 13 - 8 * ramp(z, 75, 95), np.abs(cavity - 7) - 5.5)
    sternum = np.maximum(np.maximum(sternum, z - 108), -z - 40)
    sternum = np.maximum(sternum, y + 20)
    canvas.paint(sternum, CORTICAL_BONE - 250)
    canvas.paint(sternum + 2.2, SPONGY_BONE - 90)
    for side in (_RIGHT, _LEFT):
        # The shoulder blade, a plane that runs outwards and forwards behind the ribs.
        blade = np.abs((y - 74 + 0.5 * (side * x - 78)) * 0.9) - 2.2
        blade = np.maximum(blade, np.maximum(np.abs(z - 85) - 62, np.abs(side * x - 98) - 36))
        blade = np.maximum(np.maximum(blade, 8 - cavity), np.maximum(8 - y, body + 6))
        canvas.paint(blade, CORTICAL_BONE - 150)
        collarbone = [(side * 18, -62, 112), (side * 60, -52, 124), (side * 105, -20, 136)]
        canvas.paint_path(collarbone, 6.5, CORTICAL_BONE)
        canvas.paint_path(collarbone, 3.6, SPONGY_BONE)


def _ribs(canvas: Canvas, cavity: Field) -> None:
    """All ribs at once: bands that wind down around the cavity from the spine to the front."""
    x, y, z = canvas.x, canvas.y, canvas.z
    # 0 at the spine, 1 at the breastbone.
    way = np.arctan2(np.abs(x) / 128, (y + 4) / 88) / np.pi
    drop = 125 * way**1.3 - 18 * ramp(way, 0.75, 1)
    height = (z + drop + 1000) % _RIB_MM - _RIB_MM / 2
    rib = np.sqrt(((cavity - 7) / 4.0) ** 2 + (height / 6.5) ** 2)
    rib = (rib - 1) * 4.2
    rib = np.maximum(rib, 16 - np.abs(x))
    rib = np.maximum(rib, z - 118)
    bone = np.maximum(rib, (way - 0.76) * 200)
    canvas.paint(np.maximum(rib, -90 - z), MUSCLE + 45)
    canvas.paint(bone, CORTICAL_BONE)
    canvas.paint(bone + 2.0, SPONGY_BONE)


def _spine(canvas: Canvas, body: Field) -> None:
    x, y, z = canvas.x, canvas.y, canvas.z
    back = y - _SPINE_BACK
    height = (z + 1000) % _VERTEBRA_MM - _VERTEBRA_MM / 2
    waist = 1.5 * np.cos(height / _VERTEBRA_MM * 2 * np.pi)
    column = ellipse(x, back, 18 - waist, 14.5 - waist, 2.2)
    canvas.paint(column, MUSCLE + 40)
    vertebra = np.maximum(column, np.abs(height) - 10)
    canvas.paint(vertebra, CORTICAL_BONE - 150)
    canvas.paint(vertebra + 2.2, SPONGY_BONE)

    arch = np.abs(np.hypot(x, back - 24) - 12.5) - 3.2
    arch = np.maximum(arch, np.abs(height - 1) - 9)
    transverse = np.maximum(np.abs(back - 27 - 0.25 * np.abs(x)) - 4.5, np.abs(x) - 36)
    transverse = np.maximum(transverse, np.abs(height - 3) - 5)
    spinous = np.maximum(np.abs(x) - 3.2, np.abs(back - 42) - 9)
    spinous = np.maximum(spinous, np.abs(height + 3) - 8)
    behind = np.maximum(np.minimum(np.minimum(arch, transverse), spinous), body + 6)
    canvas.paint(behind, CORTICAL_BONE - 100)
    canvas.paint(behind + 2.0, SPONGY_BONE + 60)
    canal = np.hypot(x, back - 24)
    canvas.paint(canal - 9.3, FAT + 110)
    canvas.paint(canal - 5.0, 40)


def _nodule(canvas: Canvas, random: np.random.Generator, lungs: Field) -> Nodule:
    radius = float(random.uniform(*_NODULE_RADIUS_MM))
    deep = np.argwhere(lungs < -(radius + _NODULE_FROM_WALL_MM))
    # Away from the hila, where the vessels would hide it.
    deep = deep[np.abs(canvas.x.ravel()[deep[:, 2]]) > _NODULE_FROM_MIDDLE_MM]
    k, j, i = deep[random.integers(len(deep))]
    centre = np.array([canvas.x.ravel()[i], canvas.y.ravel()[j], canvas.z.ravel()[k]], np.float64)
    centre += random.uniform(-0.5, 0.5, 3) * SPACING_MM[::-1]
    canvas.paint_capsule(centre, centre, radius, _NODULE_HU)
    right, front, up = -centre[0], -centre[1], centre[2]
    return Nodule((float(right), float(front), float(up)), radius)


def _table(canvas: Canvas) -> None:
    x, y = canvas.x, canvas.y
    hollow = np.abs(y - 141 + 0.0011 * x**2) - 9
    table = np.broadcast_to(np.maximum(hollow, np.abs(x) - 170), canvas.hu.shape)
    canvas.paint(table, -350)
    canvas.paint(table + 2.0, -930)


def _noise(canvas: Canvas, random: np.random.Generator) -> None:
    """The grain of a soft kernel: each voxel shares a part of its noise with its neighbours."""
    noise = random.standard_normal(SIZE, np.float32)
    for axis in (1, 2):
        noise = noise + 0.6 * (np.roll(noise, 1, axis) + np.roll(noise, -1, axis))
    canvas.hu += _NOISE_HU / noise.std() * noise


def _ijk_to_ras(canvas: Canvas) -> NDArray[np.float64]:
    slice_mm, row_mm, column_mm = SPACING_MM
    matrix = np.diag([-column_mm, -row_mm, slice_mm, 1.0])
    matrix[:3, 3] = (-float(canvas.x.min()), -float(canvas.y.min()), float(canvas.z.min()))
    return matrix
