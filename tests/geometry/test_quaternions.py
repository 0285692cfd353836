"""Quaternions in the order w, x, y, z."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from featurelib.errors import GeometryError
from featurelib.geometry import matrix_from_wxyz, wxyz_from_matrix

HALF = np.sqrt(0.5)

quaternions = arrays(np.float64, 4, elements=st.floats(-2, 2, allow_subnormal=False)).filter(
    lambda wxyz: np.linalg.norm(wxyz) > 1e-3
)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Hamilton's product of two quaternions w, x, y, z."""
    vector = a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:])
    return np.array([a[0] * b[0] - a[1:] @ b[1:], *vector])


@given(quaternions)
@settings(deadline=None)
def test_matrix_and_back_is_the_unit_quaternion(wxyz: np.ndarray) -> None:
    """The round trip returns the normalised quaternion or its negative, which is the same rotation."""
    unit = wxyz / np.linalg.norm(wxyz)

    back = wxyz_from_matrix(matrix_from_wxyz(wxyz))

    assert abs(abs(back @ unit) - 1) < 1e-12
    assert back[0] >= 0


@given(quaternions)
@settings(deadline=None)
def test_matrices_are_rotations(wxyz: np.ndarray) -> None:
    """They are orthogonal with determinant +1, and do not depend on the quaternion's length or sign."""
    rotation = matrix_from_wxyz(wxyz)

    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    np.testing.assert_allclose(matrix_from_wxyz(-3 * wxyz), rotation, atol=1e-12)


@given(quaternions, quaternions)
@settings(deadline=None)
def test_the_matrix_of_a_product_is_the_product_of_the_matrices(a: np.ndarray, b: np.ndarray) -> None:
    """Hamilton's product and the matrix product agree, in the same order."""
    expected = matrix_from_wxyz(a) @ matrix_from_wxyz(b)

    np.testing.assert_allclose(matrix_from_wxyz(_product(a, b)), expected, atol=1e-9)


def test_w_comes_first() -> None:
    """(1, 0, 0, 0) is the identity, and a rotation by 90 degrees about +y moves +z to +x."""
    np.testing.assert_array_equal(matrix_from_wxyz([1, 0, 0, 0]), np.eye(3))
    np.testing.assert_allclose(matrix_from_wxyz([HALF, 0, HALF, 0]) @ [0, 0, 1], [1, 0, 0], atol=1e-15)


def test_many_quaternions_give_many_matrices() -> None:
    """Leading axes are kept, and each element is converted independently."""
    wxyz = np.random.default_rng(0).normal(size=(5, 4))

    matrices = matrix_from_wxyz(wxyz)

    np.testing.assert_array_equal(matrices, [matrix_from_wxyz(one) for one in wxyz])
    assert wxyz_from_matrix(matrices).shape == (5, 4)


@pytest.mark.parametrize(
    ("wxyz", "message"),
    [
        ([0, 0, 0, 0], "length zero"),
        ([1, 0, 0], "four finite"),
        ([1, np.nan, 0, 0], "four finite"),
        (1.0, "four finite"),
    ],
)
def test_what_is_no_rotation_is_rejected(wxyz, message: str) -> None:
    """Length zero, three numbers or NaN raise an error."""
    with pytest.raises(GeometryError, match=message):
        matrix_from_wxyz(wxyz)
