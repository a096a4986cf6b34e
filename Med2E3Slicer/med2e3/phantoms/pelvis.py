"""A CT of the pelvis, from the iliac crests to below the hip joints."""

from __future__ import annotations

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
from med2e3.phantoms.contrast import CORTICAL_BONE, FAT, SPONGY_BONE, STOOL, WATER
from med2e3.phantoms.findings import Draw, Lesion, mottled
from med2e3.phantoms.shapes import (
    Field,
    Point,
    Shape,
    ball,
    box,
    capsule,
    column,
    ellipsoid,
    everywhere,
    ramp,
    tube,
)

FIELD = FieldOfView((-205, -145, -122), (205, 160, 122))

_HEAD_OF_FEMUR = (90.0, -2.0, -42.0)
_TROCHANTER = (132.0, 14.0, -62.0)
_PSOAS = ((46, 22, 130), (62, -8, 60), (74, -38, 0), (88, -44, -40))


def paint(canvas: Canvas, person: Person) -> Lesions:
    """Paint the pelvis of a person; the lesions that it can have are returned."""
    wide, deep = person.around(172, 0.04), person.around(108, 0.06)
    trunk = column(
        lambda z: np.float32(wide) - 12 * ramp(z, 20, 110),
        lambda z: np.float32(deep) - 8 * ramp(-z, 45, 88),
        power=2.5,
    )
    thighs = [
        column(lambda z: np.float32(wide * 0.5), lambda z: np.float32(deep * 0.92), power=2.1,
               centre_x=side * wide * 0.5, centre_y=2)
        for side in (RIGHT, LEFT)
    ]  # fmt: skip
    skin = (trunk & box((-999, -999, -112), (999, 999, 999))) | thighs[0] | thighs[1]
    inside = paint_wall(
        canvas, person, skin,
        lambda x, y, z: 13 + 9 * ramp(y, 20, 90) + 5 * np.clip(np.abs(x) / 140, 0, 1),
    )  # fmt: skip
    cavity = _cavity(canvas, person, inside)
    _muscles(canvas, person)
    spine = Spine(
        offset=70 + person.jitter(4), pitch=36, width=25, depth=17,
        back=lambda z: 30 - 0.12 * (z - 90), lowest=58,
    )  # fmt: skip
    _bowel(canvas, person, cavity)
    _bones(canvas, person, skin, spine)
    paths = _vessels(canvas, person)
    bladder = _organs(canvas, person)
    paint_table(canvas, deep + 2, 178)
    return _lesions(person, cavity, bladder, paths)


def _cavity(canvas: Canvas, person: Person, inside: Shape) -> Shape:
    """The inside of the pelvis: wide above, a funnel between the hip joints below."""

    def funnel(z: Field) -> Field:
        narrow: Field = np.sqrt(np.clip(1 - (np.maximum(-20 - z, 0) / 82) ** 2, 0.0004, 1))
        return narrow

    bowl = column(
        lambda z: (62 + 66 * ramp(z, -20, 95)) * funnel(z),
        lambda z: (78 + 8 * ramp(z, -20, 90)) * funnel(z),
        power=2.2,
        centre_y=-4,
    )
    cavity = bowl & inside.grown(-12) & everywhere_in((-140, -140, -110), (140, 110, np.inf))
    canvas.paint(cavity, FAT - 5)
    # Fat between the muscles of the thighs and behind the rectum, and in the groins.
    for side in (RIGHT, LEFT):
        canvas.paint(ellipsoid((side * 34, 48, -86), (16, 26, 30), roll=side * 25), FAT)
        canvas.paint(ellipsoid((side * 62, -78, -70), (26, 14, 60), roll=side * 8), FAT + 5)
        seam = everywhere(
            lambda x, y, z, side=side: np.abs(y - 40 + 0.35 * (side * x - 60)) - 1.8  # type: ignore[misc]
        )
        ends = sorted((side * 56, side * 150))
        canvas.paint(seam & box((ends[0], 0, -130), (ends[1], 90, 60)), FAT + 10)
        seam = everywhere(
            lambda x, y, z, side=side: np.abs(y + 46 - 0.3 * (side * x - 60)) - 1.6  # type: ignore[misc]
        )
        ends = sorted((side * 84, side * 150))
        canvas.paint(seam & box((ends[0], -90, -130), (ends[1], 0, 10)), FAT + 10)
    return cavity


def _muscles(canvas: Canvas, person: Person) -> None:
    muscle = person.tissues.muscle
    for side in (RIGHT, LEFT):
        psoas = [(side * x, y, z) for x, y, z in _PSOAS]
        canvas.paint(tube(psoas, person.around(20)), muscle, "psoas muscle")
        canvas.paint(ellipsoid((side * 56, 0, -46), (9, 36, 26), roll=side * 15), muscle)


def _bones(canvas: Canvas, person: Person, skin: Shape, spine: Spine) -> None:
    spine.paint(canvas, skin, person.tissues.muscle)
    sacrum = (
        ellipsoid((0, 50, 38), (48, 17, 38)) | ellipsoid((0, 68, 4), (32, 13, 36))
        | tube([(0, 80, -22), (0, 76, -44)], 8)
    )  # fmt: skip
    canvas.paint(sacrum, CORTICAL_BONE - 250, "sacrum")
    canvas.paint(sacrum.grown(-2.6), SPONGY_BONE - 40)
    for side in (RIGHT, LEFT):
        for z in (52, 30, 8):
            hole = [(side * 17, 44 + (52 - z) * 0.35, z), (side * 15, 66, z - 6)]
            canvas.paint(tube(hole, 4), 10)
        canvas.paint(tube([(0, 62, 70), (0, 76, 10)], 5), 20)
        _hip_bone(canvas, side)
        _femur(canvas, side)


def _hip_bone(canvas: Canvas, side: int) -> None:
    """The wing, the socket of the joint, the ring below."""

    def wing(x: Field, y: Field, z: Field) -> Field:
        # A curved plate that leans outwards towards the crest, thick at its ends.
        out = side * x
        lean = 0.30 * (z - 40)
        level = np.hypot((out - lean) / 106, (y - 2) / 72) - 1
        plate = np.abs(level * 82) - 4.2 - 2.5 * np.exp(-(((y - 50) / 16) ** 2))
        crest = np.hypot((y - 4) / 66, (z - 12) / 88) * 74 - 74
        made = np.maximum(np.maximum(plate, crest), 38 - out)
        cut: Field = np.maximum(made, -22 - z)
        return cut

    ends = sorted((side * 36, side * 150))
    ilium = Shape((ends[0], -75, -24), (ends[1], 90, 104), wing)
    hx, hy, hz = side * _HEAD_OF_FEMUR[0], _HEAD_OF_FEMUR[1], _HEAD_OF_FEMUR[2]
    socket = (ball((hx, hy, hz), 33) - ball((hx + side * 4, hy, hz), 26.5)) & box(
        *_span(side, 40, 98)
    )
    ring = (
        tube([(side * 72, -14, -42), (side * 40, -50, -56), (side * 10, -66, -70)], 9)
        | tube([(side * 12, -62, -74), (side * 30, -40, -98), (side * 52, 18, -104)], 7.5)
        | tube([(side * 78, 24, -46), (side * 66, 34, -74), (side * 54, 24, -104)], [13, 12])
        | tube([(side * 82, 20, -24), (side * 80, 14, 0)], 14)
    )
    hip = ilium | socket | ring
    canvas.paint(hip, CORTICAL_BONE - 100, "hip bone")
    canvas.paint(hip.grown(-2.4), SPONGY_BONE)


def _femur(canvas: Canvas, side: int) -> None:
    head = tuple(c * (side if n == 0 else 1) for n, c in enumerate(_HEAD_OF_FEMUR))
    hinge = (side * _TROCHANTER[0], *_TROCHANTER[1:])
    neck = capsule(head, hinge, 14)
    bone = (
        ball(head, 24) | neck | ball((hinge[0], hinge[1] + 4, hinge[2] + 6), 17)
        | tube([hinge, (side * 124, 8, -100), (side * 120, 6, -160)], [18.0, 15.0])
    )  # fmt: skip
    canvas.paint(bone.grown(2), FAT + 120)
    canvas.paint(bone, CORTICAL_BONE, "femur")
    canvas.paint(bone.grown(-2.6), SPONGY_BONE + 40)
    canvas.paint(tube([(side * 126, 9, -92), (side * 120, 6, -160)], 8.5), FAT + 60)


def _span(side: int, start: float, end: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    first, last = sorted((side * start, side * end))
    return (first, -999, -999), (last, 999, 999)


def _vessels(canvas: Canvas, person: Person) -> dict[int, list[Point]]:
    """Iliac arteries and veins; the paths of the common iliac arteries are returned by side."""
    tissues = person.tissues
    paths: dict[int, list[Point]] = {}
    for side in (RIGHT, LEFT):
        common: list[Point] = [(side * 8, 4, 130), (side * 26, 10, 88), (side * 42, 16, 58)]
        outer = [common[-1], (side * 56, -18, 18), (side * 62, -52, -28), (side * 68, -66, -60),
                 (side * 72, -64, -130)]  # fmt: skip
        inner = [common[-1], (side * 48, 36, 24), (side * 50, 42, -6)]
        behind = [(x - side * 4, y + 15, z) for x, y, z in common]
        beside = [(x - side * 13, y + 9, z) for x, y, z in outer[1:]]
        canvas.paint(tube([*behind, *beside], 7.2), tissues.vein)
        canvas.paint(tube(common, 6.8), tissues.artery, "iliac artery")
        canvas.paint(tube(outer, 5.6), tissues.artery, "iliac artery")
        canvas.paint(tube(inner, 4.2), tissues.artery, "iliac artery")
        paths[side] = common
    return paths


def _bowel(canvas: Canvas, person: Person, cavity: Shape) -> None:
    wall, random = person.tissues.bowel, person.random
    places = [(x, y, z) for z in np.linspace(22, 128, 6) for y in (-48, -14) for x in
              np.linspace(-60, 64, 5)]  # fmt: skip
    for x, y, z in places:
        if y == -48 or abs(x) < 40:
            centre = np.array([x, y, z]) + random.uniform(-9, 9, 3)
            other = centre + random.uniform(-1, 1, 3) * (26, 18, 12)
            radius = float(random.uniform(9, 13))
            content = float(random.choice((WATER + 8, 25, 35, -600), p=(0.4, 0.25, 0.2, 0.15)))
            loop = tube([centre.tolist(), other.tolist()], radius) & cavity.grown(-2)
            canvas.paint(loop, wall, "small bowel")
            canvas.paint(loop.grown(-3.2), content)
    colon = (
        ([(-102, 0, 140), (-100, -4, 70), (-88, -20, 42)], 22),
        ([(104, 6, 140), (100, -2, 70), (78, -12, 36), (44, 6, 26), (18, 26, 30), (4, 40, 12)], 13),
    )
    for path, radius in colon:
        bowel = tube([person.near(p, 4) for p in path], person.around(radius)) & cavity.grown(-1)
        bowel = bowel.lumpy(random, 2.5, 13)
        canvas.paint(bowel, wall, "colon")
        canvas.paint(bowel.grown(-3), mottled(random, STOOL - 10, 60, 5))
        canvas.paint(bowel.grown(-3.5) & box((-999, -999, -999), (999, -18, 999)), AIR + 50)


def _organs(canvas: Canvas, person: Person) -> dict[str, Shape]:
    tissues = person.tissues
    rectum = tube([(4, 40, 12), (0, 50, -20), (0, 42, -60), (0, 30, -110)], person.around(16))
    canvas.paint(rectum, tissues.bowel + 5, "rectum")
    canvas.paint(rectum.grown(-4.5), mottled(person.random, STOOL - 10, 50, 5))
    fill = float(person.random.uniform(0.85, 1.15))
    centre = person.near((0, -42, -42), 3)
    radii = (40 * fill, 32 * fill, 30 * fill)
    bladder = ellipsoid(centre, radii)
    canvas.paint(bladder, tissues.muscle - 8, "bladder")
    urine = bladder.grown(-3.5)
    canvas.paint(urine, WATER)
    organs = {"bladder": bladder, "urine": urine}
    if person.sex == "female":
        x, y, z = person.near((0, 4, -14), 4)
        uterus = ellipsoid((x, y, z), (person.around(26), person.around(20), person.around(27)))
        neck = tube([(x, y + 2, z - 10), (0, 4, -60)], 12)
        canvas.paint(uterus | neck, tissues.uterus, "uterus")
        canvas.paint(ellipsoid((x, y, z + 2), (10, 3, 14)), tissues.uterus * 0.6)
        canvas.paint(tube([(0, 4, -62), (0, -2, -108)], 9), tissues.muscle)
        organs["uterus"] = uterus
        for side in (RIGHT, LEFT):
            ovary = ellipsoid(person.near((side * 44, 10, -4), 3), (11, 13, 15))
            canvas.paint(ovary, tissues.uterus * 0.7 + 8, "ovary")
            organs[f"ovary {side}"] = ovary
    else:
        size = person.around(1.0, 0.15)
        prostate = ellipsoid((0, -20, -84), (25 * size, 20 * size, 20 * size))
        canvas.paint(prostate, tissues.prostate, "prostate")
        organs["prostate"] = prostate
        for side in (RIGHT, LEFT):
            canvas.paint(
                ellipsoid((side * 18, 8, -58), (19, 7, 7), roll=side * 15), tissues.muscle - 15,
                "seminal vesicle",
            )  # fmt: skip
    return organs


def _lesions(
    person: Person,
    cavity: Shape,
    organs: dict[str, Shape],
    arteries: dict[int, list[Point]],
) -> Lesions:
    tissues = person.tissues
    urine = organs["urine"]
    bottom = np.array([0, float(urine.high[1]), (urine.low[2] + urine.high[2]) / 2])

    def mass_of_bladder(draw: Draw) -> Lesion:
        """A tumour that grows from the side wall into the urine."""
        side = draw.random.choice((-1, 1))
        r = float(draw.random.uniform(13, 19))
        middle = (np.array(urine.low) + urine.high) / 2
        reach = (np.array(urine.high) - urine.low) / 2
        turn = draw.random.uniform(-0.9, 0.5)
        centre = middle + (reach - 0.55 * r) * np.array((side * np.cos(turn), np.sin(turn), 0))
        shape = ball(centre.tolist(), r * 0.92).lumpy(draw.random, r * 0.15, r * 0.6)
        shape = shape & organs["bladder"].grown(2)
        return Lesion(shape, [(shape, mottled(draw.random, tissues.mass + 14, 10, 6))])

    def stone_of_bladder(draw: Draw) -> Lesion:
        r = float(draw.random.uniform(6, 12))
        shift = (draw.random.uniform(-8, 8), -r - 1, draw.random.uniform(-6, 6))
        x, y, z = bottom + np.array(shift)
        stone = ellipsoid((x, y, z), (r * 1.15, r * 0.85, r))
        return Lesion(stone, [(stone, 900), (stone.grown(-3), 650)])

    def mass_of_uterus(draw: Draw) -> Lesion:
        uterus = organs["uterus"]
        middle = (np.array(uterus.low) + uterus.high) / 2
        r = float(draw.random.uniform(19, 28))
        away = draw.random.uniform((-1, -0.7, 0.4), (1, 0.0, 1))
        centre = middle + away / np.linalg.norm(away) * (14 + 0.45 * r)
        shape = ball(centre.tolist(), r * 0.94).lumpy(draw.random, r * 0.1, r * 0.7)
        return Lesion(shape, [(shape, mottled(draw.random, tissues.uterus_mass, 12, 5))])

    def cyst_of_ovary(draw: Draw) -> Lesion:
        ovary = organs[f"ovary {draw.side}"]
        r = float(draw.random.uniform(15, 24))
        middle = (np.array(ovary.low) + ovary.high) / 2
        centre = middle + np.array((draw.side * 5, 2, r * 0.35))
        shape = ball(centre.tolist(), r)
        return Lesion(shape, [(shape, tissues.uterus * 0.7 + 8), (shape.grown(-1.8), 4)])

    def calcification(draw: Draw) -> Lesion:
        prostate = organs["prostate"]
        middle = (np.array(prostate.low) + prostate.high) / 2
        r = float(draw.random.uniform(5.5, 8.5))
        centre = middle + draw.random.uniform(-1, 1, 3) * (8, 5, 6)
        shape = ball(centre.tolist(), r).lumpy(draw.random, 1.4, 5)
        return Lesion(shape, [(shape, mottled(draw.random, 600, 120, 4))])

    def aneurysm(draw: Draw) -> Lesion:
        """A common iliac artery several times as wide as the other."""
        path = arteries[draw.side]
        share = float(draw.random.uniform(0.2, 0.7))
        centre = np.array(path[1]) + share * (np.array(path[2]) - path[1])
        r = float(draw.random.uniform(15, 21))
        centre = centre - (draw.side * 4, 0, 0)
        x, y, z = centre
        tilt = draw.side * -20
        long = ellipsoid((x, y - r * 0.4, z), (r, r, r * 1.35), tilt=tilt)
        lumen = ellipsoid((x, y - r * 0.25, z), (r * 0.64, r * 0.64, r * 1.1), tilt=tilt)
        return Lesion(long, [(long, 170), (long.grown(-1.6), 32), (lumen, tissues.artery + 8)])

    def effusion(draw: Draw) -> Lesion:
        """Free fluid in the pouch behind the bladder and beside it."""
        depth = float(draw.random.uniform(20, 28))
        pool = ellipsoid((0, 14, 2), (72, depth + 14, depth + 10)).lumpy(draw.random, 4, 16)
        fat = ellipsoid((draw.random.uniform(-8, 8), -20, 14), (44, 34, 26))
        fluid = (pool & cavity.grown(-1)) - organs["bladder"].grown(1) - fat
        kept = fluid - organs["uterus"].grown(1) if "uterus" in organs else fluid
        return Lesion(kept, [(kept, 8)])

    def fracture(draw: Draw) -> Lesion:
        """The neck of the femur is broken and has slipped; callus lies around the gap."""
        side = draw.side
        head, hinge = np.array(_HEAD_OF_FEMUR) * (side, 1, 1), np.array(_TROCHANTER) * (side, 1, 1)
        along = (hinge - head) / np.linalg.norm(hinge - head)
        centre = head + along * float(draw.random.uniform(24, 32))
        r = float(draw.random.uniform(21, 25))
        shape = ball(centre.tolist(), r)
        slip, lift = np.array((0, 0, 3)), np.array((0, 0, 10))
        near = capsule((head + slip).tolist(), (centre - along * 3).tolist(), 14)
        far = capsule((centre + along * 3 + lift).tolist(), (hinge + lift).tolist(), 13)
        gap = everywhere(
            lambda x, y, z: (
                np.abs(
                    (x - np.float32(centre[0])) * np.float32(along[0])
                    + (y - np.float32(centre[1])) * np.float32(along[1])
                    + (z - np.float32(centre[2])) * np.float32(along[2])
                )
                - np.float32(4)
            )
        )
        return Lesion(
            shape,
            [
                (shape, 62),
                (near & shape, CORTICAL_BONE),
                (far & shape, CORTICAL_BONE),
                (near.grown(-2.6) & shape, SPONGY_BONE + 40),
                (far.grown(-2.6) & shape, SPONGY_BONE + 40),
                (gap & shape, 30),
            ],
        )

    makers: Lesions = {
        ("bladder", "mass"): mass_of_bladder,
        ("bladder", "stone"): stone_of_bladder,
        ("uterus", "mass"): mass_of_uterus,
        ("ovary", "cyst"): cyst_of_ovary,
        ("prostate", "calcification"): calcification,
        ("iliac artery", "aneurysm"): aneurysm,
        ("peritoneum", "effusion"): effusion,
        ("femur", "fracture"): fracture,
    }
    return makers
