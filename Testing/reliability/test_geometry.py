"""There and back within half a model slice, for any matrix from voxels to millimetres."""

from __future__ import annotations

import os

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from med2e3.volume import PLANES, Scan, prepare
from reliability.record import FILE_VARIABLE, tried

EXAMPLES = 5000 if os.environ.get(FILE_VARIABLE) else 100
SIZE = (8, 16, 16)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    matrix=arrays(np.float64, (3, 4), elements=st.floats(-20, 20, width=32)),
    shape=st.tuples(*[st.integers(2, 20)] * 3),
    plane=st.sampled_from(PLANES),
    share=st.tuples(*[st.floats(0, 1)] * 3),
)
def find_a_point_again(matrix, shape, plane, share):
    matrix = np.vstack([matrix, [0, 0, 0, 1]])
    # Flat or small to the point where millimetres no longer tell voxels apart is no scan.
    assume(np.linalg.norm(matrix[:3, :3], -2) > 1e-6 * np.abs(matrix[:3]).max())
    voxels = np.random.default_rng(0).uniform(0.2, 1, shape).astype(np.float32)
    geometry = prepare(Scan(voxels, matrix), plane, "none", SIZE).geometry
    # (i, j, k), anywhere in the scan out to the edges of its outer voxels.
    point = np.array([part * length - 0.5 for part, length in zip(share, shape[::-1], strict=True)])
    slice_ = geometry.slice_at_ras(matrix[:3, :3] @ point + matrix[:3, 3])
    assert -0.501 <= slice_ <= SIZE[0] - 0.499
    nearest = min(max(round(slice_), 0), SIZE[0] - 1)
    axis = geometry.scan_axis
    half_a_slice = shape[2 - axis] / SIZE[0] / 2
    assert abs(geometry.slice_index(nearest) - point[axis]) <= half_a_slice * 1.001
    # Its middle lies where the matrix puts it, and leads back to the same slice.
    middle = geometry.slice_center_ras(nearest)
    ijk = np.linalg.solve(matrix, (*middle, 1))[:3]
    assert abs(ijk[axis] - geometry.slice_index(nearest)) <= half_a_slice / 100
    assert round(geometry.slice_at_ras(middle)) == nearest


def test_any_point_of_the_scan_is_found_again():
    find_a_point_again()
    tried("Volumes", "mapping there and back, any matrix", EXAMPLES, "within half a model slice")
