"""Axes of a mesh file, as a user names them, to the rotation that brings it to the object frame."""

from typing import Literal

import numpy as np

from featurelib.errors import UsageError
from featurelib.geometry import wxyz_from_matrix

Axis = Literal["+x", "-x", "+y", "-y", "+z", "-z"]


def named_rotation(front: Axis | None, up: Axis | None) -> tuple[float, float, float, float] | None:
    """Return the rotation of axes that were named, None if none was.

    Raises:
        UsageError: if only one is, or both are one axis.
    """
    if front is None or up is None:
        if front or up:
            raise UsageError("--front and --up: one alone leaves the other open; give both, as in --front -y --up +z")
        return None
    return rotation_from_axes(front, up)


def rotation_from_axes(front: Axis, up: Axis) -> tuple[float, float, float, float]:
    """Return the rotation (w, x, y, z) from a mesh file's axes to the object frame (+y up, +z out of the face).

    The third axis follows from the two, so left and right cannot be exchanged.

    Args:
        front: the file's axis that points out of the face.
        up: the one that points up.

    Raises:
        UsageError: if both are one axis.
    """
    z, y = _unit(front), _unit(up)
    if front[1] == up[1]:
        raise UsageError(f"--front {front} --up {up}: one axis; expected two, as in --front -y --up +z")
    w, qx, qy, qz = wxyz_from_matrix(np.array([np.cross(y, z), y, z])).tolist()
    return w, qx, qy, qz


def _unit(axis: Axis) -> np.ndarray:
    unit = np.zeros(3)
    unit["xyz".index(axis[1])] = 1.0 if axis[0] == "+" else -1.0
    return unit
