"""Quaternions in the order w, x, y, z, and the rotation matrices they stand for."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from featurelib.errors import GeometryError


def matrix_from_wxyz(wxyz: ArrayLike) -> NDArray[np.float64]:
    """Return the (..., 3, 3) rotation matrices of (..., 4) quaternions w, x, y, z.

    Quaternions need not have length one; q and -q give the same matrix.

    Raises:
        GeometryError: if a quaternion is not four finite numbers or has length zero.
    """
    quaternions = np.asarray(wxyz, dtype=np.float64)
    if quaternions.shape[-1:] != (4,) or not np.isfinite(quaternions).all():
        raise GeometryError(f"a quaternion is four finite numbers w, x, y, z, not {np.asarray(wxyz).tolist()}")
    if (np.linalg.norm(quaternions, axis=-1) < 1e-9).any():
        raise GeometryError("a quaternion of length zero is no rotation; the identity is 1, 0, 0, 0")
    return Rotation.from_quat(quaternions, scalar_first=True).as_matrix()


def wxyz_from_matrix(rotation: ArrayLike) -> NDArray[np.float64]:
    """Return the (..., 4) unit quaternions, w >= 0, of (..., 3, 3) rotation matrices."""
    return Rotation.from_matrix(np.asarray(rotation)).as_quat(canonical=True, scalar_first=True)
