"""A bright slab at a known place in the patient is found again from the model's slices alone.

The phantoms are sampled from one definition in RAS, so nothing of the geometry under test takes
part in making them; what is compared is the slab's own place with the mapped place of the model
slices that turn out brightest.
"""

from __future__ import annotations

import numpy as np
import pytest

from med2e3.volume import Scan, prepare

SHAPE = (44, 50, 56)
"""(K, J, I)"""
PLANES = ("acquired", "axial", "coronal", "sagittal")
AXIS_OF_PLANE = {"axial": 2, "coronal": 1, "sagittal": 0}


def turned(degrees: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(4)
    for axis, angle in enumerate(np.radians(degrees)):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(4)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix


def scaled(*factors: float) -> np.ndarray:
    return np.diag([*factors, 1.0])


def permuted(*axes: int) -> np.ndarray:
    """IJK to RAS in which i, j and k run along the RAS axes that are named."""
    matrix = np.zeros((4, 4))
    for ijk, ras in enumerate(axes):
        matrix[ras, ijk] = 1
    matrix[3, 3] = 1
    return matrix


SHEAR = np.eye(4)
SHEAR[1, 2] = 0.25

SPACING = scaled(0.9, 1.3, 2.5)
LPS = scaled(-1, -1, 1)
SCANS = {
    "axial": LPS @ SPACING,
    "coronal": permuted(0, 2, 1) @ scaled(-1, -1, 1) @ SPACING,
    "sagittal": permuted(1, 2, 0) @ scaled(-1, -1, 1) @ SPACING,
    "flipped in i": scaled(1, -1, 1) @ SPACING,
    "flipped in j": scaled(-1, 1, 1) @ SPACING,
    "flipped in k": scaled(-1, -1, -1) @ SPACING,
    "permuted": permuted(2, 0, 1) @ scaled(1, -1, 1) @ SPACING,
    "oblique": turned((12, -17, 23)) @ LPS @ SPACING,
    "oblique, permuted and flipped": turned((-20, 9, 14)) @ permuted(2, 1, 0) @ SPACING,
    "tilted gantry": LPS @ SHEAR @ SPACING,
}
PARENTS = {
    "none": np.eye(4),
    "rotation and shift": np.array(
        [[1, 0, 0, 40.0], [0, 1, 0, -15], [0, 0, 1, 220], [0, 0, 0, 1]]
    ) @ turned((8, 15, -11)),
    "mirror and scale": scaled(-1.2, 0.8, 1.1),
}  # fmt: skip


def scan_axis(plane: str, matrix: np.ndarray) -> int:
    """Which of i, j, k the slices are cut across, told apart by direction alone."""
    if plane == "acquired":
        return 2
    cosines = np.abs(matrix[:3, :3]) / np.linalg.norm(matrix[:3, :3], axis=0)
    return int(np.argmax(cosines[AXIS_OF_PLANE[plane]]))


def normal_across(axis: int, matrix: np.ndarray) -> np.ndarray:
    """The unit vector in RAS that stands on the planes of the scan across one of its axes."""
    others = [matrix[:3, other] for other in range(3) if other != axis]
    normal = np.cross(*others)
    return normal / np.linalg.norm(normal)


@pytest.mark.parametrize("parent", PARENTS)
@pytest.mark.parametrize("kind", SCANS)
@pytest.mark.parametrize("plane", PLANES)
def test_the_slab_is_within_half_a_model_slice(plane, kind, parent):
    matrix = PARENTS[parent] @ SCANS[kind]
    matrix = matrix.copy()
    matrix[:3, 3] += (13, -47, -310)
    axis = scan_axis(plane, matrix)
    normal = normal_across(axis, matrix)

    ijk = np.stack(np.meshgrid(*(range(n) for n in SHAPE), indexing="ij")[::-1], -1)
    ras = ijk @ matrix[:3, :3].T + matrix[:3, 3]
    depth = ras @ normal
    first, last = depth.min(), depth.max()
    # The patient does not fill the scan, so that there is something to crop.
    patient = np.ones(SHAPE, bool)
    patient[:3] = patient[-5:] = patient[:, :4] = patient[:, -2:] = False
    patient[:, :, :6] = patient[:, :, -3:] = False

    for share in (0.25, 0.5, 0.62, 0.8):
        place = first + share * (last - first)
        half = 0.045 * (last - first)
        voxels = np.where(patient, 30.0, -1000.0)
        voxels[patient & (np.abs(depth - place) < half)] = 240
        prepared = prepare(Scan(voxels.astype(np.int16), matrix), plane, "40,400")
        geometry = prepared.geometry
        assert geometry.scan_axis == axis

        brightness = prepared.volume[0].numpy().mean(axis=(1, 2))
        brightest = np.flatnonzero(brightness > (brightness.min() + brightness.max()) / 2)
        assert np.array_equal(brightest, np.arange(brightest[0], brightest[-1] + 1))
        centres = geometry.slice_centers_ras() @ normal
        model_slice_mm = abs(centres[1] - centres[0])
        voxel_mm = abs(normal @ matrix[:3, axis])
        # The slab as the scan has it: its edges fall between voxels.
        inside = np.unique(np.round(depth[patient & (np.abs(depth - place) < half)], 6))
        truth = (inside[0] + inside[-1]) / 2
        assert abs(truth - place) <= voxel_mm

        found = np.average(centres, weights=brightness - brightness.min())
        assert abs(found - truth) <= model_slice_mm / 2
        # Each bright slice lies in the slab, each other one outside it.
        low = inside[0] - voxel_mm / 2 - model_slice_mm / 2
        high = inside[-1] + voxel_mm / 2 + model_slice_mm / 2
        for number, centre in enumerate(centres):
            if number in brightest:
                assert low <= centre <= high
            else:
                assert not low + model_slice_mm < centre < high - model_slice_mm
        assert brightest[0] - 0.5 <= geometry.slice_at_ras(_point(place, normal, geometry))
        assert geometry.slice_at_ras(_point(place, normal, geometry)) <= brightest[-1] + 0.5


def _point(depth: float, normal: np.ndarray, geometry) -> np.ndarray:
    """A point at a depth along the normal, beside the middle of the model's volume."""
    middle = geometry.slice_center_ras(16)
    return middle + (depth - middle @ normal) * normal
