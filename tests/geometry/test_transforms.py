"""Homogeneous transforms named a_from_b."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurelib.geometry import apply, inverse, matrix_from_wxyz, rigid


def _transform(seed: int) -> np.ndarray:
    """Return a random rigid transform (4, 4)."""
    random = np.random.default_rng(seed)
    return rigid(matrix_from_wxyz(random.normal(size=4)), random.normal(size=3) * 100)


seeds = st.integers(0, 2**32 - 1)


@given(seeds, seeds)
@settings(deadline=None)
def test_a_chain_applies_from_right_to_left(first: int, second: int) -> None:
    """apply(a_from_b @ b_from_c, p) equals apply(a_from_b, apply(b_from_c, p))."""
    a_from_b, b_from_c = _transform(first), _transform(second)
    points_c = np.random.default_rng(0).normal(size=(7, 3)) * 100

    np.testing.assert_allclose(
        apply(a_from_b @ b_from_c, points_c), apply(a_from_b, apply(b_from_c, points_c)), atol=1e-10
    )


@given(seeds)
@settings(deadline=None)
def test_the_inverse_undoes_a_transform(seed: int) -> None:
    """Applying b_from_a after a_from_b returns the points, and the inverse of the inverse is the transform."""
    a_from_b = _transform(seed)
    points_b = np.random.default_rng(1).normal(size=(4, 3)) * 100

    np.testing.assert_allclose(apply(inverse(a_from_b), apply(a_from_b, points_b)), points_b, atol=1e-10)
    np.testing.assert_allclose(inverse(inverse(a_from_b)), a_from_b, atol=1e-10)


def test_rigid_rotates_before_it_translates() -> None:
    """The translation is the origin of frame b in frame a."""
    a_from_b = rigid([[0, -1, 0], [1, 0, 0], [0, 0, 1]], [10, 20, 30])

    np.testing.assert_array_equal(apply(a_from_b, [0, 0, 0]), [10, 20, 30])
    np.testing.assert_array_equal(apply(a_from_b, [1, 0, 0]), [10, 21, 30])


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (0, 3)])
def test_points_keep_their_leading_axes(shape: tuple[int, ...]) -> None:
    """The result for one point, a list or a stack of lists has the same shape."""
    assert apply(np.eye(4), np.zeros(shape)).shape == shape
