"""A CT of the head, from the vertex to the upper jaw."""

from __future__ import annotations

import numpy as np

from med2e3.phantoms.body import LEFT, RIGHT, FieldOfView, Lesions, Person
from med2e3.phantoms.canvas import AIR, Canvas
from med2e3.phantoms.contrast import CORTICAL_BONE, FAT, SPONGY_BONE, WATER
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

FIELD = FieldOfView((-112, -128, -72), (112, 132, 112))


def paint(canvas: Canvas, person: Person) -> Lesions:
    """Paint the head of a person; the lesions that it can have are returned."""
    wide, long, high = person.around(66, 0.04), person.around(82, 0.04), person.around(80, 0.03)
    vault = ellipsoid((0, 2, 14), (wide, long, high))
    cavity = vault & everywhere(lambda x, y, z: (_floor(y) - z) * np.float32(0.85))
    skull = _soft_tissues(canvas, person, vault)
    _face(canvas, person)
    _brain(canvas, person, cavity)
    _sinuses(canvas, person, cavity)
    _arteries(canvas, person)
    _headrest(canvas, long)
    return _lesions(person, cavity, vault, skull)


def _floor(y: Field) -> Field:
    """The height of the base of the skull inside: it goes down in steps to the back."""
    made: Field = -16 - 20 * ramp(y, -42, -26) - 18 * ramp(y, 2, 22)
    return made


def _soft_tissues(canvas: Canvas, person: Person, vault: Shape) -> Shape:
    """Scalp, face and neck, and the skull with its base."""
    tissues = person.tissues
    thick = person.around(7, 0.15)
    scalp = vault.grown(thick + 6 * person.fat**0.5)
    face = column(lambda z: 62 - 6 * ramp(-z, 20, 90), lambda z: 80 - 8 * ramp(-z, 30, 90),
                  power=2.2, centre_y=-18)  # fmt: skip
    neck = column(lambda z: np.float32(60), lambda z: np.float32(56), power=2.2, centre_y=20)
    nose = ellipsoid((0, -98, -46), (14, 20, 22))
    below = box((-100, -125, -140), (100, 110, -4))
    outside = scalp | ((face | neck) & below) | nose
    canvas.paint(outside, 25, "skin")
    canvas.paint(outside.grown(-2), FAT + 10)
    inside = ((face.grown(-7) | neck.grown(-9)) & below) | scalp.grown(-4)
    canvas.paint(inside, tissues.muscle - 4)
    for side in (RIGHT, LEFT):
        # Fat between the muscles of chewing, and the muscles of the neck.
        canvas.paint(ellipsoid((side * 40, -40, -62), (9, 22, 22), roll=side * 15), FAT + 15)
        canvas.paint(ellipsoid((side * 34, 20, -82), (14, 10, 22)), FAT + 20)
        canvas.paint(ellipsoid((side * 57, -30, -16), (6, 22, 24)), tissues.muscle)
        canvas.paint(tube([(side * 9, 62, -60), (side * 9, 62, -140)], 4), FAT + 20)
    base = everywhere(lambda x, y, z: (_floor(y) - 9 - z) * np.float32(0.85))
    skull = vault.grown(thick) & base
    bone = vault.grown(thick) - vault.grown(-0.5)
    shell = skull & (bone | everywhere(lambda x, y, z: (z - _floor(y)) * np.float32(0.85)))
    canvas.paint(shell, CORTICAL_BONE + 100, "skull")
    diploe = everywhere(lambda x, y, z: np.abs(vault.distance(x, y, z) - thick * 0.5) - thick * 0.2)
    canvas.paint(diploe & skull & box((-100, -110, 4), (100, 110, 120)), SPONGY_BONE + 180)
    return vault.grown(thick) - vault


def _face(canvas: Canvas, person: Person) -> None:
    tissues = person.tissues
    bone = CORTICAL_BONE - 100
    for side in (RIGHT, LEFT):
        orbit = ellipsoid((side * 31, -66, -28), (21, 27, 18), roll=side * 20)
        canvas.paint(orbit.grown(3.5) & box((-80, -86, -60), (80, 0, 10)), bone, "skull")
        canvas.paint(orbit, FAT + 10)
        eye = ball((side * 32, -79, -28), 12)
        canvas.paint(eye, 60, "eye")
        canvas.paint(eye.grown(-1.6), 12)
        canvas.paint(ellipsoid((side * 32, -88.5, -28), (5, 2.4, 5)), 110)
        for offset in (-12, 12, 0):
            radius = 2.4 if offset else 2.0
            canvas.paint(
                tube([(side * 32 + offset, -74, -28), (side * 20, -46, -28)], radius),
                tissues.muscle,
            )
        sinus = ellipsoid((side * 27, -56, -60), (15, 18, 15))
        canvas.paint(sinus.grown(2.2), bone - 150, "skull")
        canvas.paint(sinus, AIR)
        canvas.paint(tube([(side * 50, -62, -48), (side * 66, -30, -44)], 4), bone, "skull")
        canvas.paint(tube([(side * 66, -30, -44), (side * 62, 4, -40)], 3.5), bone, "skull")
        # The jaw's branch and, behind it, the pyramid of the ear with air in its cells.
        canvas.paint(tube([(side * 50, -14, -50), (side * 48, -24, -90)], 5), bone, "mandible")
        pyramid = tube([(side * 18, -2, -40), (side * 58, 22, -40)], [11.0])
        canvas.paint(pyramid, bone + 50, "skull")
        mastoid = ellipsoid((side * 58, 28, -48), (13, 16, 20))
        canvas.paint(mastoid, bone, "skull")
        canvas.paint(mastoid.grown(-3), mottled(person.random, -250, 650, 6))
        canvas.paint(tube([(side * 44, 12, -40), (side * 86, 10, -42)], 3.6), AIR)
        ear = ellipsoid((side * 76, 16, -38), (5, 15, 25), roll=side * -20)
        canvas.paint(ear, 10)
    canvas.paint(ellipsoid((0, -62, -34), (14, 26, 14)), bone - 250, "skull")
    for x in (-8.5, 0, 8.5):
        canvas.paint(ellipsoid((x, -62, -32), (3.4, 22, 11)), AIR)
    for side in (RIGHT, LEFT):
        canvas.paint(ellipsoid((side * 7, -64, -60), (5.2, 28, 16)), AIR)
        canvas.paint(ellipsoid((side * 9, -62, -66), (2.6, 22, 5)), tissues.muscle + 15)
    canvas.paint(ellipsoid((0, -22, -38), (20, 16, 12)), bone, "skull")
    canvas.paint(ellipsoid((0, -24, -40), (15, 12, 8)), AIR)
    frontal = ellipsoid((0, -84, 2), (20, 5, 12))
    canvas.paint(frontal.grown(3), bone, "skull")
    canvas.paint(frontal, AIR)
    canvas.paint(ellipsoid((0, -26, -78), (14, 9, 22)), AIR)
    # The first vertebrae around the cord.
    ring = everywhere(lambda x, y, z: np.abs(np.hypot(x * 0.75, y - 26) - 17) - 4)
    canvas.paint(ring & box((-40, 0, -72), (40, 55, -60)), bone, "spine")
    canvas.paint(tube([(0, 10, -64), (0, 12, -100)], 8.5), bone, "spine")
    canvas.paint(tube([(0, 30, -45), (0, 30, -140)], 12), WATER + 6)
    canvas.paint(tube([(0, 29, -45), (0, 29, -140)], 6.5), 36)


def _brain(canvas: Canvas, person: Person, cavity: Shape) -> None:
    """Grey and white matter, with the fluid around and inside them."""
    tissues, random = person.tissues, person.random
    age = float(random.uniform(0, 1))
    canvas.paint(cavity, tissues.muscle + 10)
    canvas.paint(cavity.grown(-1.2), WATER + 2)
    canvas.paint(cavity.grown(-2.0 - 1.5 * age), tissues.grey_matter, "brain")
    folds = _folds(random)
    gyri = (cavity.grown(-5.5 - age) - folds.grown(3.2)) | cavity.grown(-17)
    canvas.paint(gyri & box((-90, -100, -36), (90, 100, 110)), tissues.white_matter)
    sulci = folds.grown(0.45 + 0.7 * age) & (cavity.grown(-1) - cavity.grown(-12 - 3 * age))
    canvas.paint(sulci & box((-90, -100, -24), (90, 100, 110)), WATER + 6)
    # The cerebellum under its tent, the brain stem, and the cisterns around it.
    cerebellum = (ellipsoid((0, 48, -30), (50, 34, 23)) & cavity.grown(-3)).lumpy(random, 0.6, 5)
    tent = ellipsoid((0, 50, -29), (55, 40, 26)) & cavity.grown(-1.5)
    canvas.paint(tent, WATER + 18)
    canvas.paint(cerebellum, tissues.grey_matter, "brain")
    for side in (RIGHT, LEFT):
        canvas.paint(
            ellipsoid((side * 22, 46, -32), (18, 18, 11)),
            mottled(random, tissues.white_matter, 4, 4),
        )
    cistern = ellipsoid((0, -12, -18), (21, 15, 8)) | ellipsoid((0, 12, -12), (25, 14, 9))
    canvas.paint(cistern, WATER + 2)
    stem = tube([(0, 8, -6), (0, 14, -28), (0, 26, -56)], [13.0, 12.0])
    canvas.paint(stem.grown(2.5) & cavity, WATER + 2)
    canvas.paint(stem, (tissues.grey_matter + tissues.white_matter) / 2, "brain")
    # The gap between the hemispheres, with the falx in it, and the fissures of Sylvius.
    gap = everywhere(lambda x, y, z: np.abs(x) - np.float32(1.3 + age))
    rim = cavity.grown(-1.5) - ellipsoid((0, 4, 12), (30, 52, 46))
    canvas.paint(gap & rim & box((-6, -100, -12), (6, 100, 110)), WATER + 3)
    falx = everywhere(lambda x, y, z: np.abs(x) - np.float32(0.9))
    canvas.paint(
        falx & rim & box((-6, -100, -10), (6, 100, 110)), 55 + 0.4 * (tissues.head_vein - 52)
    )
    ventricle = 1 + 0.6 * age + person.jitter(0.12)
    for side in (RIGHT, LEFT):
        sylvian = ellipsoid(
            (side * 50, -16, 0), (15, 20, 2.6 + 1.6 * age), tilt=side * -25
        ) | ellipsoid((side * 40, -10, 6), (2 + age, 20, 13))
        canvas.paint(sylvian, WATER + 3)
        for centre, radii in (
            ((side * 24, -6, 12), (8, 20, 12)),  # lentiform nucleus
            ((side * 12, 10, 12), (9, 14, 10)),  # thalamus
            ((side * 13, -22, 20), (6, 13, 9)),  # head of the caudate nucleus
        ):
            canvas.paint(ellipsoid(centre, radii), tissues.grey_matter + 1)
        horn = [
            (side * 7, -36, 20), (side * 9, -14, 28), (side * 14, 12, 30), (side * 24, 34, 20),
            (side * 20, 52, 16),
        ]  # fmt: skip
        wide = [5.5, 6.0, 6.5, 6.0]
        canvas.paint(tube(horn, [w * ventricle for w in wide]), WATER, "ventricle")
        canvas.paint(
            tube([horn[3], (side * 32, 20, -2), (side * 30, -8, -14)], 3.2 * ventricle),
            WATER,
            "ventricle",
        )
    canvas.paint(ellipsoid((0, 0, 8), (2.6 * ventricle, 14, 10)), WATER, "ventricle")
    canvas.paint(ellipsoid((0, 36, -30), (8, 6 * ventricle, 9)), WATER, "ventricle")


def _folds(random: np.random.Generator) -> Shape:
    """The sheets along which the surface of the brain is folded, winding and all joined."""
    fx, fy, fz = (2 * np.pi / random.uniform(26, 33, 3)).astype(np.float32)
    px, py, pz = random.uniform(0, 2 * np.pi, 3).astype(np.float32)
    bend = np.float32(1.6)

    def sheets(x: Field, y: Field, z: Field) -> Field:
        along = np.sin(fx * x + px + bend * np.sin(np.float32(0.7) * fy * y + pz))
        across = np.sin(fy * y + py + bend * np.sin(np.float32(0.7) * fz * z + px))
        upwards = np.sin(fz * z + pz + bend * np.sin(np.float32(0.7) * fx * x + py))
        # Divided by the usual slope, so that it is about a distance.
        distance: Field = np.abs(along + across + upwards) / np.float32(0.34)
        return distance

    return everywhere(sheets)


def _sinuses(canvas: Canvas, person: Person, cavity: Shape) -> None:
    """The large veins along the inside of the skull."""
    vein = person.tissues.head_vein
    angles = np.linspace(-0.9, 2.75, 22)
    points = []
    for angle in angles:
        direction = np.array([0, np.sin(angle - 0.4), np.cos(angle - 0.4)])
        reach = np.linspace(30, 110, 161)
        along = np.array([0, 2, 14]) + reach[:, None] * direction
        inside = cavity.at(along) < -3.2
        points.append(along[np.flatnonzero(inside)[-1]] if inside.any() else along[0])
    canvas.paint_path([p for p in points if p[2] > -6], 4.6, vein, "dural sinus")
    confluence = (0, 79, -8)
    canvas.paint_path([(0, 34, 14), (0, 60, 4), confluence], 3.4, vein, "dural sinus")
    for side in (RIGHT, LEFT):
        path = [confluence, (side * 30, 70, -14), (side * 52, 46, -20), (side * 52, 26, -34)]
        canvas.paint_path(path, person.around(4.6, 0.2), vein, "dural sinus")
        canvas.paint_path([path[-1], (side * 34, 18, -62), (side * 32, 16, -120)], 5, vein)
    canvas.paint_path([(0, 22, 14), (0, 34, 14)], 2.6, vein)


def _arteries(canvas: Canvas, person: Person) -> None:
    """The circle of arteries at the base of the brain and what feeds it."""
    blood = person.tissues.head_artery
    canvas.paint_path([(0, 18, -60), (0, 0, -40), (0, -4, -18)], 2.6, blood, "cerebral artery")
    for side in (RIGHT, LEFT):
        for path, radius in (
            ([(side * 26, -4, -120), (side * 24, -4, -44), (side * 12, -16, -32),
              (side * 12, -14, -18)], 3.2),
            ([(side * 12, -14, -18), (side * 26, -18, -13), (side * 38, -18, -8),
              (side * 46, -10, 4), (side * 48, 6, 14)], 2.6),
            ([(side * 12, -14, -18), (side * 3, -26, -14), (side * 2, -42, 2),
              (side * 2, -50, 26)], 2.2),
            ([(0, -4, -18), (side * 16, 4, -14), (side * 24, 24, -8)], 2.2),
            ([(side * 12, -14, -18), (side * 6, -6, -18)], 1.6),
        ):  # fmt: skip
            start = person.near(path[0], 1)
            canvas.paint_path([start, *path[1:]], radius, blood, "cerebral artery")


def _headrest(canvas: Canvas, long: float) -> None:
    """The padded cradle under the head."""
    cradle = everywhere(
        lambda x, y, z: np.abs(np.hypot(x, y - 2) - np.float32(long + 24)) - np.float32(3.5)
    )
    part = box((-74, 50, -999), (74, 130, 999))
    canvas.paint(cradle & part, -250)
    canvas.paint(cradle.grown(-1.6) & part, -900)


def _lesions(person: Person, cavity: Shape, vault: Shape, skull: Shape) -> Lesions:
    tissues = person.tissues
    brain = cavity.grown(-4)
    hemisphere = {side: (brain & side_of(side, 6)) for side in (RIGHT, LEFT)}

    def mass(draw: Draw) -> Lesion:
        """A tumour with a rim that takes up contrast medium and a dead core, in a swelling."""
        centre, r, level = place(draw, hemisphere[draw.side], (14, 21), whole=brain,
                                 depth=(-99, -0.95))  # fmt: skip
        shape = ball(centre.tolist(), r * 0.93).lumpy(draw.random, r * 0.1, r * 0.7)
        swelling = (shape.grown(8).lumpy(draw.random, 4, 12)) & brain & side_of(draw.side, 2)
        layers = [(swelling, 15), (shape, tissues.brain_mass), (shape.grown(-r * 0.4), 16)]
        return Lesion(shape, layers, level)

    def cyst(draw: Draw) -> Lesion:
        centre, r, level = place(draw, hemisphere[draw.side], (11, 19), whole=brain,
                                 depth=(-99, -1.05))  # fmt: skip
        return round_lesion(centre, r, 3, level)

    def haemorrhage(draw: Draw) -> Lesion:
        centre, r, level = place(draw, hemisphere[draw.side], (13, 22), whole=brain,
                                 depth=(-99, -1.0))  # fmt: skip
        stretch = draw.random.uniform(0.85, 1.2, 3)
        shape = ellipsoid(centre.tolist(), (r * stretch).tolist(), roll=draw.random.uniform(0, 90))
        shape = shape.lumpy(draw.random, r * 0.13, r * 0.6) & hemisphere[draw.side].grown(3)
        return Lesion(
            shape, [(shape.grown(3.5) & brain, 20), (shape, mottled(draw.random, 80, 4, 6))], level
        )

    def calcification(draw: Draw) -> Lesion:
        centre, r, level = place(draw, hemisphere[draw.side], (6, 9.5), whole=brain,
                                 depth=(-99, -1.6))  # fmt: skip
        shape = ball(centre.tolist(), r).lumpy(draw.random, 1.6, 5)
        return Lesion(shape, [(shape, mottled(draw.random, 560, 130, 4))], level)

    def subdural(draw: Draw) -> Lesion:
        """A crescent of blood along the inside of the skull."""
        random = draw.random
        depth = float(random.uniform(15, 22))
        middle, back = float(random.uniform(20, 50)), float(random.uniform(-18, 18))
        inner = vault.grown(-1).moved((-draw.side * depth, back * 0.12, -depth * 0.25))
        part = ellipsoid((draw.side * 60, back, middle), (60, 62, 48))
        shape = (vault.grown(-1) - inner) & part & side_of(draw.side, 4)
        shape = shape.within((-90, -100, -12), (90, 100, 110))
        return Lesion(shape, [(shape, mottled(random, 80, 4, 7))])

    def aneurysm(draw: Draw) -> Lesion:
        """A sac on the fork of the middle cerebral artery, in the fluid of its fissure."""
        r = float(draw.random.uniform(7.5, 11))
        x, y, z = np.array((draw.side * 38.0, -18.0, -8.0)) + draw.random.uniform(-2.5, 2.5, 3)
        sac = ball((x, y, z), r)
        fluid = ellipsoid((x, y, z), (r + 5, r + 6, r + 4)) & cavity.grown(-2)
        return Lesion(sac, [(fluid, WATER), (sac, 130), (sac.grown(-1.4), tissues.head_artery + 8)])

    def fracture(draw: Draw) -> Lesion:
        """A depressed fracture: a piece of the skull is pushed in, with gaps around it."""
        random = draw.random
        side_part = skull & box((draw.side * 100 if draw.side < 0 else 42, -60, 8),
                                (-42 if draw.side < 0 else 100, 60, 70))  # fmt: skip
        points = lattice(side_part)
        centre = points[random.integers(len(points))].tolist()
        r = float(random.uniform(18, 25))
        wound = ball(centre, r) & (vault.grown(13) - vault.grown(-14))
        inwards = np.array([0, 2, 14]) - centre
        inwards = (inwards / np.linalg.norm(inwards) * float(random.uniform(8, 10))).tolist()
        piece = (skull & ball(centre, r - 4)).moved(inwards)
        blood = wound & ball(centre, r)
        return Lesion(
            wound & (skull.grown(4) | piece.grown(1)),
            [(blood & vault.grown(13), 58), (piece & wound, CORTICAL_BONE)],
        )

    return {
        ("brain", "mass"): mass,
        ("brain", "cyst"): cyst,
        ("brain", "haemorrhage"): haemorrhage,
        ("brain", "calcification"): calcification,
        ("subdural space", "haemorrhage"): subdural,
        ("cerebral artery", "aneurysm"): aneurysm,
        ("skull", "fracture"): fracture,
    }
