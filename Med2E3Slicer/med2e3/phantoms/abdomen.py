"""A CT of the abdomen, from the domes of the diaphragm to the iliac crests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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
from med2e3.phantoms.canvas import AIR, Canvas
from med2e3.phantoms.contrast import CORTICAL_BONE, FAT, LUNG, SPONGY_BONE, STOOL, WATER
from med2e3.phantoms.findings import Draw, Lesion, mottled, place, round_lesion
from med2e3.phantoms.shapes import (
    Field,
    Point,
    Shape,
    ball,
    box,
    column,
    ellipsoid,
    everywhere,
    ramp,
    side_of,
    tube,
)

FIELD = FieldOfView((-200, -150, -135), (200, 160, 135))


def paint(canvas: Canvas, person: Person) -> Lesions:
    """Paint the abdomen of a person; the lesions that it can have are returned."""
    tissues = person.tissues
    wide, deep = person.around(160, 0.05), person.around(108, 0.06)
    skin = column(
        lambda z: np.float32(wide) - 10 * ramp(np.abs(z + 40), 60, 0),
        lambda z: np.float32(deep) - 6 * ramp(z, 40, 130),
        power=2.4,
    )
    inside = paint_wall(
        canvas,
        person,
        skin,
        lambda x, y, z: 13 + 8 * np.clip(np.abs(x) / 120, 0, 1) + 6 * ramp(-z, 0, 120),
    )
    cavity = inside.grown(-13) & everywhere(
        # The muscles of the back stand beside the spine.
        lambda x, y, z: y - 56 - 0.0015 * x**2
    )
    canvas.paint(cavity, FAT - 5)
    spine_bend = person.jitter(6)
    spine = Spine(
        offset=person.jitter(16),
        pitch=person.around(34, 0.04),
        width=person.around(24, 0.06),
        depth=person.around(17, 0.06),
        back=lambda z: np.float32(40) - (8 + spine_bend) * np.exp(-(((z + 50) / 75) ** 2)),
    )
    _muscles(canvas, person, skin)
    dome = _dome(person)
    below = everywhere(lambda x, y, z: (z - dome(x, y)) * np.float32(0.75))
    lungs = cavity.grown(2) - below - everywhere(lambda x, y, z: np.maximum(np.abs(x) - 24, 10 - z))
    canvas.paint(lungs & box((-999, -999, 20), (999, 999, 999)), LUNG, "lung")
    lesions = _organs(canvas, person, cavity, below, spine)
    spine.paint(canvas, skin, tissues.muscle)
    _ribs(canvas, inside)
    paint_table(canvas, deep + 2, 175)
    return lesions


def _dome(person: Person) -> Callable[[Field, Field], Field]:
    """The height (z) of the diaphragm: the right dome stands higher than the left."""
    right_top, left_top = person.around(120, 0.05), person.around(108, 0.05)

    def dome(x: Field, y: Field) -> Field:
        right = right_top - 70 * (((x + 66) / 84) ** 2 + ((y + 8) / 90) ** 2) ** 1.25
        left = left_top - 70 * (((x - 66) / 80) ** 2 + ((y + 4) / 88) ** 2) ** 1.25
        higher: Field = np.maximum(right, left).astype(np.float32)
        return higher

    return dome


def _muscles(canvas: Canvas, person: Person, skin: Shape) -> None:
    muscle = person.tissues.muscle
    for side in (RIGHT, LEFT):
        psoas = person.around(17)
        canvas.paint(
            tube(
                [(side * 30, 44, 30), (side * 38, 38, -50), (side * 52, 26, -140)],
                [psoas * 0.7, psoas],
            ),
            muscle,
            "psoas muscle",
        )
        back = tube([(side * 32, 76, 140), (side * 30, 74, -140)], person.around(21))
        canvas.paint(back & skin.grown(-8), muscle)


def _organs(canvas: Canvas, person: Person, cavity: Shape, below: Shape, spine: Spine) -> Lesions:
    tissues = person.tissues
    free = cavity & below.grown(-3)
    liver, left_lobe, right_lobe = _liver(person, free)
    spleen = ellipsoid(
        person.near((98, 34, 62), 6),
        (person.around(27, 0.15), person.around(44, 0.1), person.around(44, 0.15)),
        roll=-15,
    ) & free.grown(-1)
    kidneys = {side: _kidney(person, side) for side in (RIGHT, LEFT)}
    stomach = (
        ellipsoid(
            person.near((64, -26, 60), 6),
            (person.around(38), person.around(36), person.around(44)),
            tilt=20,
        )
        & free.grown(-1)
    ) - liver.grown(2)
    pancreas = tube(
        [person.near(p, 3) for p in ((-26, -8, 4), (-4, -20, 16), (34, -8, 30), (66, 14, 46))],
        [person.around(14), person.around(11), person.around(10)],
    )
    gall_centre = person.near((-46, -52, 8), 5)
    gallbladder = ellipsoid(
        gall_centre, (person.around(15), person.around(17), person.around(27)), tilt=-12
    )
    _bowel(canvas, person, free)
    canvas.paint(stomach, tissues.bowel + 5, "stomach")
    canvas.paint(stomach.grown(-4), WATER + 20)
    canvas.paint(
        stomach.grown(-4) & box((-999, -999, -999), (999, -34 + person.jitter(10), 999)), AIR
    )
    canvas.paint(tube([(8, 22, 140), (18, 4, 92), (38, -20, 84)], 9), tissues.bowel)
    canvas.paint(pancreas, mottled(person.random, tissues.pancreas, 8, 6), "pancreas")
    duodenum = tube([(-34, -30, 22), (-46, -10, 12), (-44, 0, -30), (0, 4, -36)], 11)
    canvas.paint(duodenum, tissues.bowel)
    canvas.paint(duodenum.grown(-4), WATER + 15)
    _retroperitoneum(canvas, person, kidneys)
    canvas.paint(liver, tissues.liver, "liver")
    _liver_vessels(canvas, person)
    canvas.paint(spleen, tissues.spleen, "spleen")
    if tissues.artery > 250:
        # In the arterial phase the spleen takes up the medium in stripes.
        canvas.paint(spleen.grown(-2), mottled(person.random, tissues.spleen, 30, 9))
    canvas.paint(gallbladder, tissues.bowel, "gallbladder")
    canvas.paint(gallbladder.grown(-2.5), WATER + 4)
    for kidney in kidneys.values():
        _paint_kidney(canvas, person, kidney)
    aorta = _aorta(canvas, person)
    return _lesions(
        person, free, liver, left_lobe, right_lobe, spleen, kidneys, pancreas, gall_centre, aorta,
        spine,
    )  # fmt: skip


def _liver(person: Person, free: Shape) -> tuple[Shape, Shape, Shape]:
    size = person.around(1, 0.07)
    right = ellipsoid(
        person.near((-62, -4, 48), 4),
        (80 * size, person.around(82, 0.05) * size, person.around(84, 0.1) * size),
    )
    left = ellipsoid(
        person.near((6, -44, 66), 4), (54 * size, person.around(34) * size, 42 * size), roll=-8
    )
    # The groove in front of the kidney and the vessels is hollow.
    hollow = ellipsoid((-30, 26, -8), (44, 44, 52)) | ellipsoid((6, 22, 60), (26, 32, 90))
    liver = ((right | left) & free.grown(-1)) - hollow
    left_lobe = ((left & free.grown(-1)) - hollow) & side_of(LEFT, 6)
    right_lobe = ((right & free.grown(-1)) - hollow) & side_of(RIGHT, 26)
    return liver, left_lobe, right_lobe


def _kidney(person: Person, side: int) -> dict[str, Shape]:
    x, y, z = person.near((side * 62, 34, -8 if side == RIGHT else 4), 5)
    radii = (person.around(28), person.around(25), person.around(54, 0.1))
    roll, tilt = side * -25, side * -8
    outer = ellipsoid((x, y, z), radii, roll=roll, tilt=tilt)
    hilum = ellipsoid((x - side * 15, y - 5, z), (15, 10, 26), roll=roll, tilt=tilt)
    pelvis = ellipsoid((x - side * 15, y - 5, z), (9, 6, 13), roll=roll, tilt=tilt)
    return {"outer": outer, "hilum": hilum, "pelvis": pelvis}


def _paint_kidney(canvas: Canvas, person: Person, kidney: dict[str, Shape]) -> None:
    tissues = person.tissues
    outer, hilum = kidney["outer"], kidney["hilum"]
    canvas.paint(outer, tissues.renal_cortex, "kidney")
    # Pyramids of medulla between columns of cortex.
    canvas.paint(
        outer.grown(-7).lumpy(person.random, 3.5, 8) - hilum.grown(1), tissues.renal_medulla
    )
    canvas.paint(hilum, FAT + 10)
    canvas.paint(kidney["pelvis"], WATER)


def _aorta(canvas: Canvas, person: Person) -> list[Point]:
    """The aorta and its branches; its path is returned."""
    tissues = person.tissues
    shift, wide = person.jitter(4), person.around(10.5, 0.12)
    path: list[Point] = [
        (shift + 6, 16, 140),
        (shift + 5, 12, 40),
        (shift + 3, 6, -40),
        (shift, 6, -92),
    ]
    canvas.paint(tube(path, wide + 1), 50, "aorta")
    canvas.paint(tube(path, wide), tissues.artery)
    for side in (RIGHT, LEFT):
        canvas.paint(
            tube([path[-1], (side * 24, 14, -118), (side * 36, 18, -150)], 6.5),
            tissues.artery,
            "iliac artery",
        )
        canvas.paint(
            tube([(shift + side * 8, 10, 14), (side * 30, 24, 2), (side * 46, 30, 0)], 3.4),
            tissues.artery,
        )
    canvas.paint(tube([(shift + 5, 4, 34), (4, -14, 18), (4, -18, -50)], 4), tissues.artery)
    canvas.paint(tube([(shift + 5, 2, 46), (8, -14, 50), (40, 0, 52)], 3.6), tissues.artery)
    return path


def _retroperitoneum(canvas: Canvas, person: Person, kidneys: dict[int, dict[str, Shape]]) -> None:
    tissues = person.tissues
    cava = tube([(-22, 10, -95), (-22, 8, -10), (-24, 10, 60), (-26, 4, 140)], person.around(12.5))
    canvas.paint(cava, tissues.vein, "inferior vena cava")
    for side in (RIGHT, LEFT):
        canvas.paint(tube([(-22, 10, -95), (side * 34, 24, -150)], 8), tissues.vein)
        canvas.paint(tube([(-16, 6, 4), (side * 26, 18, 0), (side * 46, 28, -2)], 5), tissues.vein)
        canvas.paint(
            tube([(side * 34, 34, 58), (side * 42, 44, 50)], 4), tissues.muscle, "adrenal gland"
        )
    splenic = [(-10, -6, 20), (20, 0, 32), (50, 14, 46), (78, 30, 54)]
    canvas.paint(tube(splenic, 4.6), tissues.portal_vein)
    canvas.paint(tube([(-10, -6, 20), (-6, -16, -10), (-8, -18, -60)], 5.2), tissues.portal_vein)
    canvas.paint(tube([(-10, -6, 20), (-26, -8, 42), (-40, -6, 56)], 7.5), tissues.portal_vein)


def _liver_vessels(canvas: Canvas, person: Person) -> None:
    vein, portal = person.tissues.vein, person.tissues.portal_vein
    if person.tissues.artery > 250:
        vein = person.tissues.liver - 8
    elif vein < 60:
        # Blood is a little darker than the liver without contrast medium.
        vein = portal = person.tissues.liver - 16
    portal_paths = (
        ([(-38, -6, 55), (-62, -8, 58), (-92, 6, 52), (-112, 22, 46)], 5.5),
        ([(-62, -8, 58), (-88, -32, 62), (-104, -42, 60)], 4.2),
        ([(-62, -8, 58), (-86, 10, 30), (-98, 24, 8)], 4.2),
        ([(-38, -6, 55), (-16, -32, 66), (8, -48, 70), (34, -52, 74)], 4.2),
    )
    vein_paths = (
        ([(-26, 4, 104), (-60, 4, 92), (-98, 10, 76), (-116, 16, 60)], 4.8),
        ([(-26, 4, 104), (-48, -26, 88), (-68, -54, 62)], 4.5),
        ([(-24, 2, 104), (-4, -30, 88), (18, -54, 80)], 4.2),
    )
    for paths, hu in ((portal_paths, portal), (vein_paths, vein)):
        for path, radius in paths:
            canvas.paint_path([person.near(p, 3) for p in path], radius, hu)


def _bowel(canvas: Canvas, person: Person, free: Shape) -> None:
    """Loops of small bowel in front, and the colon around them."""
    wall = person.tissues.bowel
    random = person.random
    for y, heights, across in (
        (-22, np.linspace(-128, -50, 6), np.linspace(-62, 66, 5)),
        (-52, np.linspace(-128, 10, 10), np.linspace(-66, 70, 5)),
    ):
        for x, z in ((x, z) for z in heights for x in across):
            centre = np.array([x, y + 0.002 * x**2 - 4, z]) + random.uniform(-9, 9, 3)
            other = centre + random.uniform(-1, 1, 3) * (26, 16, 12)
            radius = float(random.uniform(9, 13))
            content = float(random.choice((WATER + 8, 25, 35, -600), p=(0.4, 0.25, 0.2, 0.15)))
            loop = tube([centre.tolist(), other.tolist()], radius) & free.grown(-2)
            canvas.paint(loop, wall, "small bowel")
            canvas.paint(loop.grown(-3.2), content)
    colon = (
        ([(-104, 2, -150), (-106, 6, -60), (-98, -16, -12)], 23),
        ([(-98, -16, -12), (-50, -64, -22), (20, -70, -18), (84, -44, 22)], 17),
        ([(92, -14, 40), (108, 16, 0), (108, 18, -70), (100, 2, -150)], 15),
    )
    for path, radius in colon:
        bowel = tube([person.near(p, 5) for p in path], person.around(radius)) & free.grown(-1)
        bowel = bowel.lumpy(random, 3, 13)
        canvas.paint(bowel, wall, "colon")
        canvas.paint(bowel.grown(-3), mottled(random, STOOL - 10, 60, 5))
        level = float(random.uniform(-70, -30))
        canvas.paint(bowel.grown(-3.5) & box((-999, -999, -999), (999, level, 999)), AIR + 50)


def _ribs(canvas: Canvas, inside: Shape) -> None:
    """The lower ribs, cut across where they run down in the wall."""

    def ribs(x: Field, y: Field, z: Field) -> Field:
        way = np.arctan2(np.abs(x) / 128, (y + 4) / 88) / np.pi
        height = (z + 95 * way**1.2 + 1000) % 27 - 13.5
        depth = (inside.distance(x, y, z) + 7) / 4.2
        rib = (np.sqrt(depth**2 + (height / 6.5) ** 2) - 1) * 4.2
        rib = np.maximum(rib, 18 - np.abs(x))
        # The ribs end further up towards the front.
        made: Field = np.maximum(rib, 6 + 110 * np.maximum(way - 0.25, 0) - z)
        return made

    shape = everywhere(ribs) & everywhere_in((-np.inf, -np.inf, -12), (np.inf, np.inf, np.inf))
    canvas.paint(shape, CORTICAL_BONE - 50, "rib")
    canvas.paint(shape.grown(-2.2), SPONGY_BONE)


def _lesions(
    person: Person, free: Shape, liver: Shape, left_lobe: Shape, right_lobe: Shape, spleen: Shape,
    kidneys: dict[int, dict[str, Shape]], pancreas: Shape,
    gall_centre: tuple[float, ...], aorta: list[Point], spine: Spine,
) -> Lesions:  # fmt: skip
    tissues = person.tissues

    def lobe(draw: Draw) -> Shape:
        return right_lobe if draw.side == RIGHT else left_lobe

    def mass_of_liver(draw: Draw) -> Lesion:
        radii = (15.0, 29.0) if draw.side == RIGHT else (13.0, 19.0)
        centre, r, level = place(draw, lobe(draw), radii, whole=liver, depth=(-99, -0.75))
        shape = ball(centre.tolist(), r * 0.92).lumpy(draw.random, r * 0.16, r * 0.6)
        core = shape.grown(-r * 0.42)
        return Lesion(
            shape,
            [
                (shape, mottled(draw.random, tissues.liver_mass, 14, 5)),
                (core, tissues.liver_mass * 0.5),
            ],
            level,
        )

    def cyst_of_liver(draw: Draw) -> Lesion:
        radii = (10.0, 24.0) if draw.side == RIGHT else (9.0, 17.0)
        centre, r, level = place(draw, lobe(draw), radii, whole=liver, depth=(-99, -0.85))
        return round_lesion(centre, r, 3, level)

    def calcification_of_liver(draw: Draw) -> Lesion:
        centre, r, level = place(draw, lobe(draw), (6.5, 11), whole=liver, depth=(-99, -1.4))
        shape = ball(centre.tolist(), r).lumpy(draw.random, 1.5, 5)
        return Lesion(shape, [(shape, mottled(draw.random, 620, 120, 4))], level)

    def mass_of_spleen(draw: Draw) -> Lesion:
        centre, r, level = place(draw, spleen, (14, 22), depth=(-99, -0.7))
        shape = ball(centre.tolist(), r * 0.92).lumpy(draw.random, r * 0.15, r * 0.6)
        return Lesion(shape, [(shape, mottled(draw.random, tissues.spleen_mass, 14, 5))], level)

    def cyst_of_spleen(draw: Draw) -> Lesion:
        centre, r, level = place(draw, spleen, (11, 20), depth=(-99, -0.75))
        return round_lesion(centre, r, 3, level)

    def mass_of_kidney(draw: Draw) -> Lesion:
        kidney = kidneys[draw.side]["outer"]
        outer = kidney & side_of(draw.side, 44)
        centre, r, level = place(draw, outer, (15, 24), whole=kidney, depth=(-0.15, 0.3))
        shape = ball(centre.tolist(), r * 0.92).lumpy(draw.random, r * 0.15, r * 0.6)
        hu = tissues.kidney_mass
        return Lesion(
            shape,
            [(shape, mottled(draw.random, hu, 18, 6)), (shape.grown(-r * 0.55), hu * 0.4)],
            level,
        )

    def cyst_of_kidney(draw: Draw) -> Lesion:
        kidney = kidneys[draw.side]["outer"]
        outer = kidney & side_of(draw.side, 44)
        centre, r, level = place(draw, outer, (11, 22), whole=kidney, depth=(-0.5, 0.15))
        return round_lesion(centre, r, 3, level)

    def stone_of_kidney(draw: Draw) -> Lesion:
        centre, r, level = place(
            draw, kidneys[draw.side]["hilum"], (5, 8), whole=kidneys[draw.side]["outer"],
            depth=(-99, -0.5),
        )  # fmt: skip
        shape = ball(centre.tolist(), r).lumpy(draw.random, 0.8, 5)
        return Lesion(shape, [(shape, 900)], level)

    def stone_of_gallbladder(draw: Draw) -> Lesion:
        r = float(draw.random.uniform(5.5, 9))
        x, y, z = gall_centre
        low = (x + draw.random.uniform(-2, 2), y + 12.5 - r, z + draw.random.uniform(-9, 7))
        shape = ball(low, r)
        # A stone lies on the floor, with a shell of lime.
        return Lesion(shape, [(shape, 520), (shape.grown(-3.5), 330)])

    def mass_of_pancreas(draw: Draw) -> Lesion:
        spots = ((-26, -8, 6), (12, -16, 22), (48, 2, 38))
        centre = np.array(spots[draw.random.integers(3)]) + draw.random.uniform(-3, 3, 3)
        r = float(draw.random.uniform(17, 25))
        shape = ball(centre.tolist(), r * 0.92).lumpy(draw.random, r * 0.15, r * 0.6)
        return Lesion(shape, [(shape, mottled(draw.random, tissues.pancreas_mass, 10, 6))])

    def aneurysm(draw: Draw) -> Lesion:
        r = float(draw.random.uniform(22, 32))
        z = float(draw.random.uniform(-62, -15))
        heights = [p[2] for p in aorta][::-1]
        x, y = (float(np.interp(z, heights, [p[n] for p in aorta][::-1])) for n in (0, 1))
        centre = (x + 2, y - r + 12, z)
        shape = ellipsoid(centre, (r, r, r * float(draw.random.uniform(1.3, 1.6))))
        clot = shape.grown(-1.5)
        lumen = ellipsoid((x + 2, y - r + 15, z), (r * 0.62, r * 0.62, r * 1.2))
        return Lesion(shape, [(shape, 170), (clot, 32),
                              (lumen, tissues.artery + 8)])  # fmt: skip

    def ascites(draw: Draw) -> Lesion:
        """Fluid around the liver and the spleen and along the flanks."""
        depth = float(draw.random.uniform(15, 21))
        rim = free - everywhere(lambda x, y, z: free.distance(x * 1.0, y, z) + np.float32(depth))
        flanks = everywhere(lambda x, y, z: np.float32(74) - np.abs(x))
        shape = (rim & flanks) & box((-150, -60, -999), (150, 34, 80))
        return Lesion(shape, [(shape, 8)])

    return {
        ("liver", "mass"): mass_of_liver,
        ("liver", "cyst"): cyst_of_liver,
        ("liver", "calcification"): calcification_of_liver,
        ("gallbladder", "stone"): stone_of_gallbladder,
        ("pancreas", "mass"): mass_of_pancreas,
        ("spleen", "mass"): mass_of_spleen,
        ("spleen", "cyst"): cyst_of_spleen,
        ("kidney", "mass"): mass_of_kidney,
        ("kidney", "cyst"): cyst_of_kidney,
        ("kidney", "stone"): stone_of_kidney,
        ("aorta", "aneurysm"): aneurysm,
        ("peritoneum", "effusion"): ascites,
        ("spine", "fracture"): lambda draw: spine.fracture(draw, -105, 60),
    }
