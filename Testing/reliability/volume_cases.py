"""Volumes of every kind as voxels and a matrix, and what has to come of each.

The expectations were written down before anything was run. The same cases go through the command
line, as files (test_volumes.py), and through the scene (Testing/module/test_volumes.py); files that
are damaged, and DICOM, are in file_cases.py. numpy alone is needed here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

CT_LIKE = "its values are those of a CT"
NOT_CT = "its values are not those of a CT"
FEW_SLICES = "are interpolated between them"
THINNED = "is not seen"
OBLIQUE = "The scan is oblique"
LIKE_LABELS = "like a label map"


@dataclass(frozen=True)
class Answered:
    """The scan is answered, with warnings that hold these words each, and no other.

    ``like`` names a case whose slice scores it has to have: the same body, seen the same way.
    """

    warnings: tuple[str, ...] = (CT_LIKE,)
    like: str = ""


@dataclass(frozen=True)
class Refused:
    """One sentence with all of these words, and nothing else."""

    words: tuple[str, ...]

    def __init__(self, *words: str) -> None:
        object.__setattr__(self, "words", words)


@dataclass(frozen=True)
class Case:
    """``voxels()`` is (K, J, I), ``ijk_to_ras`` (4, 4); ``ending`` is the file's for the command
    line. ``spans_mm`` is how far apart the outermost model slices are, where that is known."""

    topic: str
    name: str
    voxels: Callable[[], np.ndarray]
    ijk_to_ras: np.ndarray
    expected: Answered | Refused
    ending: str = "nrrd"
    spans_mm: float | None = None

    def __str__(self) -> str:
        return f"{self.topic}: {self.name}"


def complaints(
    case: Case,
    scores: Sequence[float],
    places: Sequence[Sequence[float]],
    warnings: Sequence[str],
    scores_of: Callable[[str], Sequence[float]],
) -> list[str]:
    """What about an answer is not as a case expects it; empty if all is well.

    ``places`` are the centres of the model slices in RAS mm, ``scores_of(name)`` the slice scores
    of another case by its topic and name.
    """
    found = []
    if len(scores) != 32 or not np.isfinite(scores).all() or abs(sum(scores) - 1) > 1e-5:
        found.append(f"the scores are no 32 shares: {scores}")
    if case.expected.like:
        off = np.abs(np.subtract(scores, scores_of(case.expected.like))).max()
        if off > 1e-5:
            found.append(f"the scores are up to {off:.2g} beside those of {case.expected.like}")
    first, last = np.asarray(places[0]), np.asarray(places[-1])
    span = float(np.linalg.norm(first - last))
    if case.spans_mm is not None:
        if abs(span - case.spans_mm) > 1e-3 * case.spans_mm:
            found.append(f"the slices span {span:.2f} mm and not {case.spans_mm:.2f}")
        if first[2] <= last[2]:
            found.append("the first slice is not the uppermost")
    found += [f"no warning has {words!r}" for words in case.expected.warnings
              if not any(words in warning for warning in warnings)]  # fmt: skip
    found += [f"a warning that was not expected: {warning}" for warning in warnings
              if not any(words in warning for words in case.expected.warnings)]  # fmt: skip
    return found


SHAPE = (24, 40, 36)
SPACING = (2.0, 2.5, 4.0)
"""Along i, j and k, in mm."""


def body(shape: tuple[int, ...] = SHAPE, air: float = -1000) -> np.ndarray:
    """A chest of a kind in HU (K, J, I), float64: tissue in air, two lungs, a spine, one nodule.

    Each slice has tissue on it, so that nothing is cropped along k.
    """
    k, j, i = (np.linspace(-1, 1, length) if length > 1 else np.zeros(1) for length in shape)
    across = j[:, None] ** 2 + i[None, :] ** 2
    lungs = (np.abs(i)[None, :] - 0.45) ** 2 * 9 + j[:, None] ** 2 * 4 < 0.6
    spine = (i[None, :] ** 2 + (j[:, None] - 0.6) ** 2) < 0.02
    values = np.full(shape, float(air))
    noise = np.random.default_rng(11).normal(0, 15, shape)
    for place, height in enumerate(k):
        tissue = across < 0.95 - 0.2 * height
        if not tissue.any():
            tissue = np.ones_like(tissue)
        values[place][tissue] = 40 + 20 * height
        values[place][lungs & tissue] = -850
        values[place][spine & tissue] = 500
        values[place][tissue] += noise[place][tissue]
    nodule = np.abs(k - 0.3)[:, None, None] * 2 + across[None] * 8 < 0.6
    values[nodule] = 160
    return np.round(values)


def placed(spacing=SPACING, turn=None, origin=(31.0, -17.0, 53.0)) -> np.ndarray:
    """(4, 4): an axial scan as DICOM has it (columns to the left, rows to the back, slices up),
    turned about its corner."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag([-1.0, -1.0, 1.0]) * spacing
    if turn is not None:
        matrix[:3, :3] = turn @ matrix[:3, :3]
    matrix[:3, 3] = origin
    return matrix


def turned(axis: int, degrees: float) -> np.ndarray:
    """(3, 3): a turn about a RAS axis."""
    a, b = (axis + 1) % 3, (axis + 2) % 3
    angle = np.radians(degrees)
    turn = np.eye(3)
    turn[a, a] = turn[b, b] = np.cos(angle)
    turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
    return turn


def _int16(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return body(shape).astype(np.int16)


def _pixel_types() -> list[Case]:
    cases = []
    signed = ("i2", "i4", "i8", "f4", "f8")
    stored = {
        **{dtype: lambda d=dtype: body().astype(d) for dtype in signed},
        # The same picture where there is no room below 0, or for more than 8 bits.
        **{d: lambda d=d: (body() + 1024).astype(d) for d in ("u2", "u4", "u8")},
        "i1": lambda: np.clip(body() / 10, -100, 100).astype("i1"),
        "u1": lambda: np.clip((body() + 160) / 400 * 255, 0, 255).astype("u1"),
    }
    for dtype, voxels in stored.items():
        for ending in ("nrrd", "nii", "mha"):
            if dtype in signed:
                expected = Answered(like="layout: +i +j +k")
            else:
                expected = Answered(()) if dtype == "u1" else Answered((NOT_CT,))
            cases.append(
                Case("pixel type", f"{dtype} in {ending}", voxels, placed(), expected, ending)
            )
    for dtype in (">i2", ">f4", ">f8"):
        cases.append(
            Case("pixel type", f"{dtype} in nrrd", lambda d=dtype: body().astype(d), placed(),
                 Answered(like="layout: +i +j +k"))
        )  # fmt: skip
    return cases


def _layouts() -> list[Case]:
    """One body stored in all 48 ways in which its axes can be ordered and flipped."""
    cases = []
    endings = itertools.cycle(("nrrd", "nii.gz", "mha", "nii"))
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):

            def voxels(order=order, signs=signs) -> np.ndarray:
                # order[n] is the axis of the body (0 for i) that runs along the n-th stored axis.
                stored = _int16().transpose([2 - order[2], 2 - order[1], 2 - order[0]])
                return np.ascontiguousarray(stored[tuple(np.s_[::s] for s in signs[::-1])])

            matrix = placed()
            axes, origin = matrix[:3, :3].copy(), matrix[:3, 3].copy()
            lengths = SHAPE[::-1]
            for stored_axis, (axis, sign) in enumerate(zip(order, signs, strict=True)):
                matrix[:3, stored_axis] = sign * axes[:, axis]
                if sign < 0:
                    origin += axes[:, axis] * (lengths[axis] - 1)
            matrix[:3, 3] = origin
            name = " ".join("+-"[s < 0] + "ijk"[a] for a, s in zip(order, signs, strict=True))
            expected = Answered(like="" if name == "+i +j +k" else "layout: +i +j +k")
            span = SPACING[2] * SHAPE[0] * 31 / 32
            cases.append(
                Case("layout", name, voxels, matrix, expected, next(endings), spans_mm=span)
            )
    return cases


def _directions() -> list[Case]:
    cases = []
    span = SPACING[2] * SHAPE[0] * 31 / 32
    turns = {
        **{f"{d}° about R": turned(0, d) for d in (5, -12, 19, 21, 35, 44)},
        **{f"{d}° about A": turned(1, d) for d in (7, -18, 23, 40)},
        **{f"{d}° about S": turned(2, d) for d in (10, 45, 90, 133, 180)},
        "15° about R and 10° about A": turned(0, 15) @ turned(1, 10),
        "30° about R and 20° about S": turned(0, 30) @ turned(2, 20),
        "upside down, 14° off": turned(0, 194),
    }
    oblique = {"21° about R", "35° about R", "44° about R", "23° about A", "40° about A"}
    oblique.add("30° about R and 20° about S")
    for name, turn in turns.items():
        warnings = (CT_LIKE, OBLIQUE) if name in oblique else (CT_LIKE,)
        cases.append(Case("direction", name, _int16, placed(turn=turn), Answered(warnings),
                          spans_mm=span))  # fmt: skip
    for degrees in (-30, -15, -5, 5, 15, 30):
        matrix = placed()
        matrix[1, 2] = SPACING[2] * np.tan(np.radians(degrees))
        along = span / np.cos(np.radians(degrees))
        # Each slice is kept as it was taken, so the model sees what it sees without the tilt.
        cases.append(
            Case("gantry tilt", f"{degrees}°", _int16, matrix, Answered(like="layout: +i +j +k"),
                 ending="nii" if degrees % 2 else "nrrd", spans_mm=along)
        )  # fmt: skip
    return cases


def _spacings() -> list[Case]:
    spacings = (
        (0.3, 0.3, 20), (0.3, 0.3, 0.3), (5, 5, 0.5), (1, 3, 9), (0.05, 0.05, 0.1), (20, 20, 20),
        (0.7, 0.7, 1.25),
    )  # fmt: skip
    return [
        Case("spacing", " × ".join(f"{mm:g}" for mm in spacing) + " mm", _int16, placed(spacing),
             Answered(like="layout: +i +j +k"), ("nrrd", "mha")[number % 2],
             spans_mm=spacing[2] * SHAPE[0] * 31 / 32)
        for number, spacing in enumerate(spacings)
    ]  # fmt: skip


def _sizes() -> list[Case]:
    cases = []
    for slices in (2, 3, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 1200):
        warnings = [CT_LIKE]
        if slices < 16:
            warnings.append(FEW_SLICES)
        if slices > 64:
            warnings.append(THINNED)
        cases.append(
            Case("slices", f"{slices}", lambda n=slices: _int16((n, 30, 28)), placed(),
                 Answered(tuple(warnings)), spans_mm=SPACING[2] * slices * 31 / 32)
        )  # fmt: skip
    for shape in ((1, 30, 28), (30, 1, 28), (30, 28, 1), (1, 1, 40)):
        words = ("1 slice", "at least 2") if shape[0] == 1 else ("one voxel wide", "at least 2")
        cases.append(
            Case("slices", "×".join(map(str, shape)), lambda s=shape: _int16(s), placed(),
                 Refused(*words))
        )  # fmt: skip
    for shape in ((2, 2, 2), (3, 3, 3), (4, 5, 6)):
        cases.append(
            Case("size", "×".join(map(str, shape)), lambda s=shape: _steps(s), placed(),
                 Answered((NOT_CT, FEW_SLICES)))
        )  # fmt: skip
    for shape in ((20, 5, 400), (20, 400, 5), (17, 512, 31), (40, 16, 900), (200, 24, 20)):
        warnings = (CT_LIKE, THINNED) if shape[0] > 64 else (CT_LIKE,)
        cases.append(
            Case("size", "×".join(map(str, shape)), lambda s=shape: _int16(s), placed(),
                 Answered(warnings))
        )  # fmt: skip
    return cases


def _steps(shape: tuple[int, ...]) -> np.ndarray:
    """Whole numbers that are all different, in no CT's range."""
    return (np.arange(np.prod(shape)).reshape(shape) * 37 + 2000).astype(np.int16)


def _paddings() -> list[Case]:
    return [
        Case("padding", f"{padding}", lambda p=padding: body(air=p).astype(np.int16), placed(),
             Answered(like="layout: +i +j +k"), ending)
        for padding in (-1024, -2000, -3024, -3072, -32768)
        for ending in ("nrrd", "nii.gz")
    ]  # fmt: skip


def _contents() -> list[Case]:
    def with_(value: float, *places: tuple[int, int, int]) -> Callable[[], np.ndarray]:
        def voxels() -> np.ndarray:
            values = body().astype(np.float32)
            for place in places or (np.s_[:, :, :],):
                values[place] = value
            return values

        return voxels

    def labels(dtype: str) -> Callable[[], np.ndarray]:
        def voxels() -> np.ndarray:
            values = np.zeros(SHAPE, dtype)
            for number in range(1, 9):
                values[number : number + 8, 4 * number : 4 * number + 4, 5:30] = number
            return values

        return voxels

    def blocks(low: float, high: float, dtype: str) -> Callable[[], np.ndarray]:
        def voxels() -> np.ndarray:
            values = np.full(SHAPE, low, dtype)
            values[5:18, 10:30, 8:28] = high
            return values

        return voxels

    def ball() -> np.ndarray:
        k, j, i = (np.linspace(-1, 1, length) for length in SHAPE)
        away = k[:, None, None] ** 2 + j[None, :, None] ** 2 + i[None, None, :] ** 2
        return np.where(away < 0.7, 1000, 0).astype(np.int16)

    def one_in_millions() -> np.ndarray:
        values = np.zeros((128, 160, 160), np.int16)
        values[63, 63, 63] = 700
        return values

    def air() -> np.ndarray:
        return np.random.default_rng(2).integers(-1024, -940, SHAPE).astype(np.int16)

    def noise() -> np.ndarray:
        return np.random.default_rng(2).normal(0, 1, SHAPE).astype(np.float32)

    first, middle, last = (0, 0, 0), (12, 20, 18), (23, 39, 35)
    not_finite = Refused("not a number or infinite", "replace them")
    cases: list[tuple[str, Callable[[], np.ndarray], Answered | Refused]] = [
        *((f"{value} at {place}", with_(value, place), not_finite)
          for value in (np.nan, np.inf, -np.inf) for place in (first, middle, last)),
        ("nothing but NaN", with_(np.nan), not_finite),
        ("Inf and −Inf together", lambda: with_(-np.inf, first)() + with_(np.inf, last)(),
         not_finite),
        *((f"{value:g} throughout", with_(value), Refused("is empty", "every voxel is"))
          for value in (0, -1000, 55, -3024)),
        ("all air", air, Refused("all air", "with a patient in it")),
        ("all at the least value of int16", lambda: np.full(SHAPE, -32768, np.int16),
         Refused("is empty")),
        ("labels in 8 bits", labels("u1"), Refused("label map", "the image that it was drawn on")),
        ("labels in 16 bits", labels("i2"), Refused("label map")),
        ("a mask of 0 and 1", blocks(0, 1, "u1"), Refused("label map")),
        ("two values like a phantom's", ball, Answered((NOT_CT, LIKE_LABELS))),
        ("a block of one value in black", blocks(0, 1000, "i2"),
         Refused("nothing to tell apart", "wider")),
        ("one voxel in three million", one_in_millions, Refused("nothing to tell apart")),
        ("fractions from 0 to 1", lambda: np.clip((body() + 160) / 400, 0, 1).astype("f4"),
         Answered(())),
        ("noise about 0", noise, Answered((NOT_CT,))),
        ("values of 1e30", lambda: (body() * 1e27).astype("f4"), Answered((NOT_CT,))),
        ("diffusion in mm²/s", lambda: ((body() + 1024) * 2e-6).astype("f4"), Answered((NOT_CT,))),
        ("values of 1e-30", lambda: ((body() + 1024) * 1e-33).astype("f8"), Answered((NOT_CT,))),
        ("values of 1e300", lambda: (body() * 1e297).astype("f8"),
         Refused("too large", "rescale")),
        ("one metal voxel of 30000",
         lambda: np.where(np.arange(SHAPE[0])[:, None, None] == 99, 0, with_(30000, middle)()),
         Answered((CT_LIKE,))),
    ]  # fmt: skip
    return [
        Case("content", name, voxels, placed(), expected, ("nrrd", "nii")[number % 2])
        for number, (name, voxels, expected) in enumerate(cases)
    ]


CASES = [
    *_pixel_types(),
    *_layouts(),
    *_directions(),
    *_spacings(),
    *_sizes(),
    *_paddings(),
    *_contents(),
]
