"""Conversion between quaternions (w, x, y, z) and rotation matrices."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import GeometryError


def matrix_from_wxyz(wxyz: ArrayLike) -> NDArray[np.float64]:
    """Return the (..., 3, 3) rotation matrices of (..., 4) quaternions w, x, y, z.

    Quaternions need not have length one; q and -q give the same matrix. The formula is that of Diebel, Representing
    Attitude, 2006, equation 125, transposed to rotate points instead of axes. SciPy has the same function, but takes
    0.9 s to import, and a render process starts in 0.5 s.

    Raises:
        GeometryError: if a quaternion is not four finite numbers or has length zero.
    """
    quaternions = np.asarray(wxyz, dtype=np.float64)
    if quaternions.shape[-1:] != (4,) or not np.isfinite(quaternions).all():
        raise GeometryError(f"quaternion {np.asarray(wxyz).tolist()} is not four finite numbers w, x, y, z")
    length = np.linalg.norm(quaternions, axis=-1, keepdims=True)
    if (length < 1e-9).any():
        raise GeometryError("a quaternion of length zero is not a rotation; the identity is 1, 0, 0, 0")
    w, x, y, z = np.moveaxis(quaternions / length, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def wxyz_from_matrix(rotation: ArrayLike) -> NDArray[np.float64]:
    """Return the (..., 4) unit quaternions, w >= 0, of (..., 3, 3) rotation matrices.

    The quaternion is the eigenvector of the largest eigenvalue of a symmetric 4 x 4 matrix (Bar-Itzhack, New method
    for extracting the quaternion from a rotation matrix, Journal of Guidance 23(6), 2000). The method has no special
    cases, and returns the nearest rotation if a matrix is not exactly orthogonal.
    """
    r = np.asarray(rotation, dtype=np.float64)
    k = np.empty((*r.shape[:-2], 4, 4))
    trace = np.trace(r, axis1=-2, axis2=-1)
    k[..., 0, 0] = trace
    k[..., 0, 1:] = k[..., 1:, 0] = np.stack(
        [r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]], -1
    )
    k[..., 1:, 1:] = r + np.swapaxes(r, -1, -2) - trace[..., None, None] * np.eye(3)
    wxyz = np.linalg.eigh(k / 3)[1][..., -1]
    return np.where(wxyz[..., :1] < 0, -wxyz, wxyz)
