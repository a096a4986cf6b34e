"""A CT of the chest, from the apices of the lungs to the upper abdomen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from med2e3.phantoms.body import (
    LEFT,
    RIGHT,
    FieldOfView,
    Lesions,
    Person,
    Spine,
    everywhere_in,
    paint_table,
    paint_wall,
)
from med2e3.phantoms.canvas import AIR, Canvas, Density
from med2e3.phantoms.contrast import CORTICAL_BONE, FAT, LUNG, SPONGY_BONE, WATER
from med2e3.phantoms.findings import Draw, Lesion, mottled, place, round_lesion
from med2e3.phantoms.shapes import (
    Field,
    Shape,
    ball,
    box,
    column,
    ellipsoid,
    everywhere,
    lattice,
    ramp,
    side_of,
    tube,
)

FIELD = FieldOfView((-205, -150, -150), (205, 160, 148))

_HILUM = {RIGHT: np.array([-42.0, 8.0, 38.0]), LEFT: np.array([45.0, 8.0, 42.0])}
_RIB_MM = 25.0
_VESSEL_TIPS = 300

Dome = Callable[[Field, Field], Field]


def paint(canvas: Canvas, person: Person) -> Lesions:
    """Paint the chest of a person; the lesions that it can have are returned."""
    build = person.around(0.99, 0.05)
    skin, cavity = _wall(canvas, person, build)
    dome = _dome(person, build)
    lungs = _lungs(canvas, person, cavity, dome)
    _abdomen(canvas, person, cavity, dome)
    for side in (RIGHT, LEFT):
        _lung_vessels(canvas, person, lungs & side_of(side), side)
    heart = _mediastinum(canvas, person)
    spine = Spine(
        offset=person.jitter(12), pitch=25, width=18, depth=14.5,
        back=lambda z: np.float32(54) - 4 * np.exp(-(((z + 120) / 60) ** 2)),
    )  # fmt: skip
    ribs = _bones(canvas, person, skin, cavity, spine)
    paint_table(canvas, build * 113 + 16, 170)
    return _lesions(person, lungs, cavity, dome, heart, ribs)


def _wall(canvas: Canvas, person: Person, build: float) -> tuple[Shape, Shape]:
    """Skin, fat and muscle; the shapes of the skin and of the inside of the ribs."""
    skin = column(
        lambda z: build * (164 + 10 * ramp(z, 70, 140) - 6 * ramp(-z, 60, 140)),
        lambda z: build * (113 - 8 * ramp(z, 70, 140)),
        power=2.5,
    )
    # Thin over the breastbone and the spine, thick at the flanks.
    paint_wall(
        canvas,
        person,
        skin,
        lambda x, y, z: 9 + 8 * np.clip(np.abs(x) / 120, 0, 1) + 4 * ramp(-z, 20, 130),
    )
    narrow: Callable[[Field], Field] = lambda z: np.clip(  # noqa: E731
        1 - np.clip((z + 50) / 190, 0, 1) ** 2.2, 0.02, 1
    )
    rib_cage = column(
        lambda z: build * 128 * narrow(z) ** 0.55,
        lambda z: build * 88 * narrow(z) ** 0.42,
        power=2.25,
        centre_y=-4,
    )
    cavity = rib_cage & box((-np.inf, -np.inf, -np.inf), (np.inf, np.inf, 132))
    texture = canvas.texture(person.random, 18)
    wall = rib_cage.distance(canvas.x, canvas.y, canvas.z)
    # The layers between the muscles of the wall, and the armpits, are of fat.
    layers = np.abs(wall - 21 - 3 * texture) - 1.6
    layers = np.maximum(np.maximum(layers, skin.distance(canvas.x, canvas.y, canvas.z) + 8),
                        45 - np.abs(canvas.x))  # fmt: skip
    canvas.paint(everywhere(lambda x, y, z: layers), FAT + 20)
    for side in (RIGHT, LEFT):
        canvas.paint(ellipsoid((side * 130, 0, 95), (15, 30, 55)) - cavity.grown(6), FAT)
    canvas.paint(cavity, FAT)
    return skin, cavity


def _dome(person: Person, build: float) -> Dome:
    """The height (z) of the diaphragm: the right dome stands higher than the left."""
    right_top, left_top = -42 + person.jitter(10), -56 + person.jitter(10)

    def dome(x: Field, y: Field) -> Field:
        x, y = x / build, y / build
        right = right_top - 62 * (((x + 68) / 78) ** 2 + ((y + 12) / 88) ** 2) ** 1.25
        left = left_top - 62 * (((x - 68) / 74) ** 2 + ((y + 8) / 86) ** 2) ** 1.25
        higher: Field = np.maximum(right, left).astype(np.float32)
        return higher

    return dome


def _lungs(canvas: Canvas, person: Person, cavity: Shape, dome: Dome) -> Shape:
    """Both lungs with their fissures."""

    def lung(x: Field, y: Field, z: Field) -> Field:
        middle = 5 + 23 * np.exp(-(((y - 12) / 42) ** 2)) + 10 * ramp(z, 60, 120)
        made = np.maximum(cavity.distance(x, y, z) + 1, middle - np.abs(x))
        made = np.maximum(made, (dome(x, y) - z) * 0.75)
        # The spine stands between the lungs, which reach behind it on both sides.
        beside: Field = np.maximum(made, 25 - np.hypot(x, y - 54))
        return beside

    lungs = Shape((-140, -100, -132), (140, 95, 133), lung)
    air = LUNG + person.jitter(20)
    # Air rises: with the patient on the back, the back of the lungs is denser.
    canvas.paint(lungs, lambda x, y, z: air - 30 + 0.35 * (y + 80), "lung")
    fissure = everywhere(lambda x, y, z: np.abs((z - 15) + 1.0 * (y - 10)) / 1.4 - 0.35)
    canvas.paint(lungs.grown(-0.5) & fissure, LUNG + 130)
    return lungs


def _abdomen(canvas: Canvas, person: Person, cavity: Shape, dome: Dome) -> None:
    tissues = person.tissues
    under = everywhere(lambda x, y, z: (z - dome(x, y)) * np.float32(0.75))
    low = everywhere_in((-160, -120, -200), (160, 120, -20))
    below = (cavity & under).grown(3) & low
    canvas.paint(below.grown(-3) & low, tissues.muscle)
    canvas.paint(cavity & under.grown(-3) & low, FAT)
    below = cavity & under.grown(-1) & low
    liver = (
        ellipsoid(person.near((-58, 2, -118), 3), (84, 84, 86))
        | ellipsoid((10, -35, -118), (66, 36, 52))
    ) & below  # fmt: skip
    canvas.paint(liver, tissues.liver, "liver")
    stomach = (ellipsoid(person.near((66, -22, -112), 4), (44, 42, 46)) & below) - liver.grown(4)
    canvas.paint(stomach, tissues.bowel + 5, "stomach")
    canvas.paint(stomach.grown(-4), WATER + 15)
    canvas.paint(stomach.grown(-4) & box((-999, -999, -999), (999, -30, 999)), AIR)
    spleen = (ellipsoid(person.near((92, 38, -112), 4), (33, 44, 42)) & below) - stomach.grown(3)
    canvas.paint(spleen, tissues.spleen, "spleen")
    vessel = max(tissues.portal_vein, tissues.liver - 14) if tissues.vein < 100 else tissues.vein
    for start, end, radius in (
        ((-70, 10, -90), (-25, 5, -75), 5.0),
        ((-75, -20, -95), (-28, -2, -75), 4.5),
        ((-40, -30, -110), (-95, -10, -125), 5.5),
        ((-95, -10, -125), (-110, 25, -120), 3.5),
    ):
        canvas.paint_path([start, end], radius, vessel)
    canvas.paint(
        tube([(-24, 26, -160), (-24, 22, -95), (-22, 8, -60)], 11.5), tissues.vein,
        "inferior vena cava",
    )  # fmt: skip
    # The crura of the diaphragm.
    for side in (RIGHT, LEFT):
        canvas.paint(tube([(side * 14, 34, -160), (side * 16, 30, -85)], 5), tissues.muscle)


def _lung_vessels(canvas: Canvas, person: Person, lung: Shape, side: int) -> None:
    """A tree from the hilum to points all over the lung, as thick as it has twigs to feed."""
    random, hilum = person.random, _HILUM[side]
    tips = random.uniform(lung.low, lung.high, (3000, 3))
    tips = tips[(lung.at(tips) < -3)][:_VESSEL_TIPS]
    tips = tips[np.argsort(np.linalg.norm(tips - hilum, axis=1))]
    known = np.empty((2 * len(tips) + 1, 3))
    known[0] = hilum
    parents = [-1]
    for tip in tips:
        nodes = known[: len(parents)]
        # The detour over the hilum counts a little, or all would hang in one chain.
        cost = np.linalg.norm(nodes - tip, axis=1) + 0.35 * np.linalg.norm(nodes - hilum, axis=1)
        parent = int(cost.argmin())
        known[len(parents)] = (nodes[parent] + tip) / 2 + random.normal(0, 1.5, 3)
        known[len(parents) + 1] = tip
        parents += [parent, len(parents)]
    twigs = np.ones(len(parents))
    for node in range(len(parents) - 1, 0, -1):
        twigs[parents[node]] += twigs[node]
    for node in range(1, len(parents)):
        radius = 0.8 * twigs[node] ** 0.34
        blood = person.tissues.artery if node % 2 else person.tissues.right_heart
        canvas.paint_path([known[parents[node]], known[node]], radius, min(blood, 200) - 20)


def _mediastinum(canvas: Canvas, person: Person) -> Shape:
    """The heart and the great vessels, windpipe and gullet; the shape of the heart is returned."""
    tissues = person.tissues
    dx, dy, dz = person.near((0, 0, 0), 4)
    size = person.around(1, 0.06)
    heart = (
        ellipsoid((24 + dx, -26 + dy, -22 + dz), (52 * size, 42 * size, 48 * size))
        | ellipsoid((-12 + dx, -14 + dy, -12 + dz), (34 * size, 38 * size, 42 * size))
    )  # fmt: skip
    canvas.paint(heart.grown(5), FAT)
    canvas.paint(heart, tissues.myocardium, "heart")
    for centre, radii, blood in (
        ((42, -16, -28), (24, 22, 34), tissues.artery),  # left ventricle
        ((12, -46, -28), (24, 16, 32), tissues.right_heart),  # right ventricle
        ((-28, -22, -14), (18, 24, 30), tissues.right_heart),  # right atrium
        ((8, 10, 2), (28, 15, 20), tissues.artery),  # left atrium
    ):
        moved = (centre[0] + dx, centre[1] + dy, centre[2] + dz)
        canvas.paint(ellipsoid(moved, radii), blood)

    windpipe = [(0, 14, 160), (0, 16, 110), (-2, 18, 66)]
    gullet = [(6, 34, 160), (8, 36, 60), (12, 34, -60), (26, 16, -95)]
    canvas.paint(tube(gullet, 7), tissues.muscle, "esophagus")
    wide = person.around(1, 0.08)
    ascending = [(-2, -18, 0), (-14, -24, 25), (-14, -22, 52), (-8, -16, 70)]
    arch = [(-8, -16, 70), (2, -6, 81), (14, 10, 83), (24, 30, 74), (27, 40, 60)]
    descending = [(27, 40, 60), (26, 42, 0), (20, 42, -60), (6, 38, -100), (3, 36, -160)]
    for path, radius in ((ascending, 16), (arch, 13.5), (descending, 12)):
        canvas.paint_path(path, radius * wide, tissues.artery, "aorta")
    artery, vein = tissues.artery, (tissues.vein + tissues.right_heart) / 2
    for path, radius, blood in (
        ([(-2, -8, 82), (-22, 0, 120), (-34, 0, 160)], 5.5, artery),
        ([(10, 2, 84), (14, 2, 120), (18, 6, 160)], 4, artery),
        ([(18, 14, 82), (30, 12, 120), (44, 10, 160)], 4.5, artery),
        ([(-30, -14, 0), (-30, -10, 60), (-28, -14, 105)], 9.5, vein),
        ([(-28, -14, 105), (10, -32, 112), (46, -22, 135)], 7, vein),
        ([(-28, -14, 105), (-46, -16, 150)], 7, vein),
    ):
        canvas.paint_path(path, radius, blood)
    trunk: list[ArrayLike] = [(14, -44, 0), (18, -36, 30), (16, -20, 50)]
    right: list[ArrayLike] = [(16, -18, 48), (-10, 0, 46), _HILUM[RIGHT]]
    left: list[ArrayLike] = [(16, -18, 50), (32, -2, 52), _HILUM[LEFT]]
    for lung_path, width in ((trunk, 14), (right, 10), (left, 10)):
        canvas.paint_path(lung_path, width, tissues.right_heart, "pulmonary artery")
    for side in (RIGHT, LEFT):
        lower = _HILUM[side] + np.array([side * 4, 16, -32])
        canvas.paint_path([_HILUM[side], lower], 7, tissues.right_heart)
        canvas.paint_path([(side * 24, 12, 4), lower + np.array([0, -10, -6])], 6, artery)
        bronchus = [
            np.array([-2, 18, 66]),
            _HILUM[side] + np.array([-side * 6, 12, 2]),
            lower + np.array([-side * 2, -10, 0]),
        ]
        canvas.paint_path(bronchus, 7.5, tissues.muscle)
        canvas.paint_path(bronchus, 5.8, AIR)
    canvas.paint_path(windpipe, 10.5, tissues.muscle, "trachea")
    canvas.paint_path(windpipe, 8.6, AIR)
    # The thyroid's lower ends beside the windpipe.
    for side in (RIGHT, LEFT):
        thyroid = 110 + 0.4 * (tissues.vein - 44)
        canvas.paint(tube([(side * 17, 8, 160), (side * 16, 8, 138)], 7), thyroid, "thyroid")
    return heart


def _bones(canvas: Canvas, person: Person, skin: Shape, cavity: Shape, spine: Spine) -> Shape:
    ribs = _ribs(canvas, person, cavity)
    spine.paint(canvas, skin, person.tissues.muscle)

    def breastbone(x: Field, y: Field, z: Field) -> Field:
        made = np.maximum(
            np.abs(x) - 13 - 8 * ramp(z, 75, 95), np.abs(cavity.distance(x, y, z) - 7) - 5.5
        )
        cut: Field = np.maximum(np.maximum(np.maximum(made, z - 108), -z - 40), y + 20)
        return cut

    sternum = Shape((-25, -130, -45), (25, -15, 112), breastbone)
    canvas.paint(sternum, CORTICAL_BONE - 250, "sternum")
    canvas.paint(sternum.grown(-2.2), SPONGY_BONE - 90)
    for side in (RIGHT, LEFT):
        # The shoulder blade, a plane that runs outwards and forwards behind the ribs.
        def plane(x: Field, y: Field, z: Field, side: int = side) -> Field:
            made = np.abs((y - 74 + 0.5 * (side * x - 78)) * 0.9) - 2.2
            cut: Field = np.maximum(
                made, np.maximum(np.abs(z - 85) - 62, np.abs(side * x - 98) - 36)
            )
            return cut

        ends = sorted((side * 58, side * 138))
        blade = Shape((ends[0], 8, 20), (ends[1], 110, 150), plane) - cavity.grown(8)
        canvas.paint(blade & skin.grown(-6), CORTICAL_BONE - 150, "scapula")
        collarbone = [(side * 18, -62, 112), (side * 60, -52, 124), (side * 105, -20, 136)]
        canvas.paint(tube(collarbone, 6.5), CORTICAL_BONE, "clavicle")
        canvas.paint(tube(collarbone, 3.6), SPONGY_BONE)
    return ribs


def _ribs(canvas: Canvas, person: Person, cavity: Shape) -> Shape:
    """All ribs at once: bands that wind down around the cavity from the spine to the front."""
    phase = person.jitter(8)

    def way(x: Field, y: Field) -> Field:
        """0 at the spine, 1 at the breastbone."""
        made: Field = np.arctan2(np.abs(x) / 128, (y + 4) / 88) / np.pi
        return made

    def band(x: Field, y: Field, z: Field) -> Field:
        along = way(x, y)
        drop = 125 * along**1.3 - 18 * ramp(along, 0.75, 1)
        height = (z + drop + 1000 + phase) % _RIB_MM - _RIB_MM / 2
        rib = np.sqrt(((cavity.distance(x, y, z) - 7) / 4.0) ** 2 + (height / 6.5) ** 2)
        rib = np.maximum((rib - 1) * 4.2, 16 - np.abs(x))
        cut: Field = np.maximum(rib, z - 118)
        return cut

    bands = Shape((-160, -120, -200), (160, 110, 120), band)
    bone = bands & everywhere(lambda x, y, z: (way(x, y) - np.float32(0.76)) * 200)
    canvas.paint(bands & everywhere(lambda x, y, z: -90 - z), person.tissues.muscle + 40)
    canvas.paint(bone, CORTICAL_BONE, "rib")
    canvas.paint(bone.grown(-2.0), SPONGY_BONE)
    return bone


def _lesions(
    person: Person, lungs: Shape, cavity: Shape, dome: Dome, heart: Shape, ribs: Shape
) -> Lesions:
    tissues = person.tissues
    whole = {side: lungs & side_of(side) & _half(side) for side in (RIGHT, LEFT)}
    # Away from the hila, where the vessels would hide it.
    outer = {side: whole[side] & side_of(side, 56) for side in (RIGHT, LEFT)}

    def nodule(draw: Draw) -> Lesion:
        centre, r, level = place(draw, outer[draw.side], (6.5, 12.5), whole=whole[draw.side],
                                 depth=(-99, -1.35))  # fmt: skip
        return round_lesion(centre, r, tissues.mass - 5, level)

    def mass(draw: Draw) -> Lesion:
        centre, r, level = place(draw, outer[draw.side], (20, 30), whole=whole[draw.side],
                                 depth=(-99, -0.7))  # fmt: skip
        shape = ball(centre.tolist(), r * 0.9).lumpy(draw.random, r * 0.2, r * 0.5)
        return Lesion(
            shape,
            [(shape, mottled(draw.random, tissues.mass, 15, 6)), (shape.grown(-r * 0.6), 20)],
            level,
        )

    def calcification(draw: Draw) -> Lesion:
        centre, r, level = place(draw, outer[draw.side], (6, 9), whole=whole[draw.side],
                                 depth=(-99, -1.35))  # fmt: skip
        return round_lesion(centre, r, 700, level)

    def consolidation(draw: Draw) -> Lesion:
        """A part of the lung without air but in the bronchi, up to the pleura."""
        random = draw.random
        centre, r, level = place(draw, whole[draw.side] & side_of(draw.side, 70), (30, 40),
                                 whole=whole[draw.side], depth=(-99, -0.15))  # fmt: skip
        x, y, z = centre
        middle = (float(x) + draw.side * 8, float(y) + 4, float(z))
        shape = ellipsoid(middle, (r * 1.05, r * 1.2, r * 0.85)).lumpy(random, 5, 14)
        shape = shape & whole[draw.side].grown(0.8)
        layers: list[tuple[Shape, Density]] = [
            (shape, mottled(random, (tissues.mass + 40) / 2, 25, 6))
        ]
        hilum = _HILUM[draw.side]
        for _ in range(5):
            end = np.array(middle) + random.uniform(-0.75, 0.75, 3) * r
            start = np.array(middle) + 0.55 * r * (hilum - middle) / np.linalg.norm(hilum - middle)
            layers.append((tube([start.tolist(), end.tolist()], 1.9) & shape, -800))
        return Lesion(shape, layers, level)

    def effusion(draw: Draw) -> Lesion:
        """Fluid at the back and the bottom of the pleural space, as the patient lies."""
        random = draw.random
        depth = float(random.uniform(24, 46))
        points = lattice(whole[draw.side], 30)
        low = points[points[:, 2] < 40]
        back = float(low[:, 1].max())
        surface = everywhere(
            # The level rises a little towards the wall.
            lambda x, y, z: (
                np.float32(back - depth)
                - y
                + 0.16 * np.maximum(z + 30, -80)
                - 13 * ramp(np.abs(x), 60, 125)
            )
        )
        shape = (whole[draw.side] & surface).within((-150, -100, -140), (150, 110, 70))
        return Lesion(shape.grown(0.8), [(shape.grown(0.8), WATER)])

    def pericardial(draw: Draw) -> Lesion:
        depth = float(draw.random.uniform(15, 21))
        bag = heart.grown(depth) & ellipsoid((12, -22, -22), (98, 80, 60)) & cavity
        bag = bag & everywhere(lambda x, y, z: (dome(x, y) + 2 - z) * np.float32(0.75))
        return Lesion(bag - heart, [(bag - heart, WATER + 2)])

    def aneurysm(draw: Draw) -> Lesion:
        """The descending aorta, twice as wide as it should be, with clot in it."""
        r = float(draw.random.uniform(25, 32))
        z = float(draw.random.uniform(-40, 45))
        shape = ellipsoid((30 + r * 0.35, 40, z), (r, r, r * float(draw.random.uniform(1.3, 1.6))))
        lumen = ellipsoid((28 + r * 0.2, 40, z), (r * 0.66, r * 0.66, r * 1.25))
        return Lesion(
            shape, [(shape, 170), (shape.grown(-1.6), 32), (lumen, tissues.artery + 8)]
        )  # fmt: skip

    def fracture(draw: Draw) -> Lesion:
        """A broken rib: its ends lie apart, with a collar of callus around the gap."""
        random = draw.random
        points = lattice(ribs & _half(draw.side) & box((-150, -70, -60), (150, 70, 80)), 60)
        points = points[np.abs(points[:, 0]) > 70]
        centre = points[random.integers(len(points))]
        r = float(random.uniform(10, 12.5))
        callus = ball(centre.tolist(), r).lumpy(random, 1.5, 7)
        turn = np.arctan2(centre[1] / 88, centre[0] / 128)
        across = (-np.sin(turn), np.cos(turn))
        gap = everywhere(
            lambda x, y, z: np.abs((x - centre[0]) * across[0] + (y - centre[1]) * across[1]) - 2.6
        )
        return Lesion(
            callus, [(callus, 520), (callus.grown(-3), 420), (callus.grown(-1) & gap, 20)]
        )

    return {
        ("lung", "nodule"): nodule,
        ("lung", "mass"): mass,
        ("lung", "consolidation"): consolidation,
        ("lung", "calcification"): calcification,
        ("pleura", "effusion"): effusion,
        ("pericardium", "effusion"): pericardial,
        ("aorta", "aneurysm"): aneurysm,
        ("rib", "fracture"): fracture,
    }


def _half(side: int) -> Shape:
    ends = sorted((0, side * 170))
    return everywhere_in((ends[0], -np.inf, -np.inf), (ends[1], np.inf, np.inf))
