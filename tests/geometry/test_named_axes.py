import itertools

import numpy as np
import pytest

from featurelib.errors import UsageError
from featurelib.geometry import matrix_from_wxyz
from featurelib.geometry.named_axes import rotation_from_axes

AXES = ("+x", "-x", "+y", "-y", "+z", "-z")


def unit(axis: str) -> np.ndarray:
    return (1 if axis[0] == "+" else -1) * np.eye(3)["xyz".index(axis[1])]


@pytest.mark.parametrize(("front", "up"), [(f, u) for f, u in itertools.product(AXES, AXES) if f[1] != u[1]])
def test_the_named_axes_are_rotated_to_front_and_up(front, up):
    """The result for any two axes is a proper rotation, so left cannot become right."""
    rotation = matrix_from_wxyz(rotation_from_axes(front, up))

    np.testing.assert_allclose(rotation @ unit(front), [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(rotation @ unit(up), [0, 1, 0], atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_the_axes_of_3d_slicer():
    """In LPS the patient's left is +x, the face points to -y and the top of the head to +z."""
    rotation = matrix_from_wxyz(rotation_from_axes("-y", "+z"))

    np.testing.assert_allclose(rotation @ [1, 0, 0], [1, 0, 0], atol=1e-12)


def test_the_same_axis_twice_is_rejected():
    with pytest.raises(UsageError, match=r"--front -y --up \+y: the same axis; give two axes"):
        rotation_from_axes("-y", "+y")
