"""From the model's slices and patches to the patient and back, for any matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from med2e3.errors import InputError
from med2e3.volume import PLANES, Scan, SliceGeometry, prepare
from med2e3.volume.geometry import PATCH_SIZE, edge_letters, orientation_along

SIZE = (8, 32, 48)


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """(3, 3): turns about the three axes, in radians."""
    matrix = np.eye(3)
    for axis, angle in enumerate((x, y, z)):
        turn = np.eye(3)
        a, b = (axis + 1) % 3, (axis + 2) % 3
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix


angles = st.floats(-np.pi, np.pi)
spacings = st.floats(0.3, 8)


@st.composite
def matrices(draw) -> np.ndarray:
    """Any way for a scan to lie: turned, flipped, anisotropic, sheared by a tilted gantry."""
    turn = rotation(draw(angles), draw(angles), draw(angles))
    scale = np.diag([draw(spacings) * draw(st.sampled_from((-1, 1))) for _ in range(3)])
    shear = np.eye(3)
    shear[1, 2] = draw(st.floats(-0.5, 0.5))
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ scale @ shear
    matrix[:3, 3] = [draw(st.floats(-500, 500)) for _ in range(3)]
    return matrix


@st.composite
def geometries(draw) -> SliceGeometry:
    shape = tuple(draw(st.integers(3, 40)) for _ in range(3))
    voxels = np.zeros(shape, np.float32)
    box = []
    for length in shape:
        start = draw(st.integers(0, length - 2))
        box.append(slice(start, draw(st.integers(start + 2, length))))
    voxels[tuple(box)] = np.random.default_rng(0).uniform(0.2, 1, voxels[tuple(box)].shape)
    scan = Scan(voxels, draw(matrices()))
    return prepare(scan, draw(st.sampled_from(PLANES)), "none", SIZE).geometry


@settings(max_examples=150, deadline=None)
@given(geometries(), st.integers(0, SIZE[0] - 1))
def test_there_and_back(geometry, slice_):
    assert geometry.slice_at_ras(geometry.slice_center_ras(slice_)) == pytest.approx(
        slice_, abs=1e-5
    )
    # The index along the scan's own axis agrees with the place in millimetres.
    ijk = np.linalg.inv(geometry.ijk_to_ras) @ (*geometry.slice_center_ras(slice_), 1)
    assert ijk[geometry.scan_axis] == pytest.approx(geometry.slice_index(slice_), abs=1e-5)
    np.testing.assert_allclose(
        geometry.slice_centers_ras()[slice_], geometry.slice_center_ras(slice_)
    )


@settings(max_examples=100, deadline=None)
@given(geometries())
def test_patches_tile_their_slice(geometry):
    slices, rows, columns = geometry.overlay_size
    assert (slices, rows, columns) == (SIZE[0], SIZE[1] // PATCH_SIZE, SIZE[2] // PATCH_SIZE)
    centres = [geometry.patch_center_ras(3, r, c) for r in range(rows) for c in range(columns)]
    np.testing.assert_allclose(np.mean(centres, axis=0), geometry.slice_center_ras(3), atol=1e-6)
    # The first patch begins where the first pixel begins.
    corner = geometry.overlay_to_ras @ (-0.5, -0.5, 3, 1)
    np.testing.assert_allclose(corner, geometry.model_to_ras @ (-0.5, -0.5, 3, 1), atol=1e-6)
    np.testing.assert_allclose(
        geometry.overlay_to_ras, geometry.ijk_to_ras @ geometry.overlay_to_ijk, atol=1e-9
    )


@settings(max_examples=100, deadline=None)
@given(matrices(), st.sampled_from(PLANES[1:]))
def test_every_axis_of_the_scan_is_used_once_and_flipped_as_a_radiologist_sees_it(matrix, plane):
    orientation = orientation_along(plane, matrix)
    assert sorted(orientation.axes) == [0, 1, 2]
    voxels = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32) + 0.1
    geometry = prepare(Scan(voxels, matrix), plane, "none", (4, 16, 16)).geometry
    directions = geometry.model_to_ras[:3, :3]
    # Columns run to the left, rows to the back or down, slices down, back or to the left.
    wanted = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}[plane]
    for column, axis in enumerate(wanted):
        assert directions[axis, column] <= 1e-9


@settings(max_examples=100, deadline=None)
@given(matrices(), st.sampled_from(PLANES))
def test_model_voxels_hold_what_lies_at_their_place(matrix, plane):
    """Three scans whose voxels are their own R, A and S come out as the geometry says."""
    shape = (20, 36, 52)
    ijk = np.stack(np.meshgrid(*(range(n) for n in shape), indexing="ij")[::-1], -1)
    ras = ijk @ matrix[:3, :3].T + matrix[:3, 3]
    inside = (slice(2, 18), slice(1, 35), slice(0, 50))
    least, size = ras.min(axis=(0, 1, 2)), np.ptp(ras, axis=(0, 1, 2))
    seen = []
    for axis in range(3):
        voxels = np.zeros(shape)
        voxels[inside] = ((ras[..., axis] - least[axis]) / size[axis] + 0.1)[inside]
        prepared = prepare(Scan(voxels, matrix), plane, "none", (8, 16, 32))
        seen.append((prepared.volume[0].double().numpy() - 0.1) * size[axis] + least[axis])
    geometry = prepared.geometry
    place = np.stack(np.meshgrid(*(range(n) for n in geometry.size), indexing="ij")[::-1], -1)
    expected = place @ geometry.model_to_ras[:3, :3].T + geometry.model_to_ras[:3, 3]
    # At the rim a model voxel may lie less than half a voxel of the scan beyond its last centre.
    inner = (slice(1, -1), slice(2, -2), slice(2, -2))
    off = np.linalg.norm(np.stack(seen, -1) - expected, axis=-1)[inner]
    assert off.max() < 1e-3 * np.linalg.norm(size) / 100 + 1e-3


def test_a_scan_at_45_degrees_uses_no_axis_twice():
    turn = np.eye(4)
    turn[:3, :3] = rotation(np.pi / 4, 0, 0)
    for plane in PLANES:
        assert sorted(orientation_along(plane, turn).axes) == [0, 1, 2]


def test_edges_of_the_planes_as_they_hang_in_a_reading_room():
    voxels = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
    expected = {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}
    for plane, letters in expected.items():
        for signs in ((1, 1, 1), (-1, -1, 1), (1, -1, -1)):
            matrix = np.diag([*signs, 1.0])[[1, 0, 2, 3]]
            geometry = prepare(Scan(voxels, matrix), plane, "none", (4, 16, 16)).geometry
            assert "".join(edge_letters(geometry)) == letters


def test_another_plane_is_refused():
    with pytest.raises(InputError, match="no plane 'oblique'; choose one of acquired, axial"):
        orientation_along("oblique", np.eye(4))
