"""The rotation from a mesh file's axes, as a user names them, to the object frame."""

from typing import Literal

import numpy as np

from featurelib.errors import UsageError
from featurelib.geometry import wxyz_from_matrix

Axis = Literal["+x", "-x", "+y", "-y", "+z", "-z"]


def named_rotation(front: Axis | None, up: Axis | None) -> tuple[float, float, float, float] | None:
    """Return the rotation (w, x, y, z) of the named axes; None without names.

    Raises:
        UsageError: if only one axis is named, or both names are the same axis.
    """
    if front is None or up is None:
        if front or up:
            raise UsageError("--front, --up: only one is given; give both, for example --front -y --up +z")
        return None
    return rotation_from_axes(front, up)


def rotation_from_axes(front: Axis, up: Axis) -> tuple[float, float, float, float]:
    """Return the rotation (w, x, y, z) from a mesh file's axes to the object frame (+y up, +z out of the face).

    The two axes determine the third, so left and right cannot be exchanged.

    Args:
        front: the file's axis that points out of the face.
        up: the file's axis that points up.

    Raises:
        UsageError: if both are the same axis.
    """
    z, y = _unit(front), _unit(up)
    if front[1] == up[1]:
        raise UsageError(f"--front {front} --up {up}: the same axis; give two axes, for example --front -y --up +z")
    w, qx, qy, qz = wxyz_from_matrix(np.array([np.cross(y, z), y, z])).tolist()
    return w, qx, qy, qz


def _unit(axis: Axis) -> np.ndarray:
    unit = np.zeros(3)
    unit["xyz".index(axis[1])] = 1.0 if axis[0] == "+" else -1.0
    return unit
