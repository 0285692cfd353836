"""Landmarks and a camera: which of a pair is nearer, and which points are visible."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.geometry.cameras import Camera


def near_in_slots(camera: Camera, landmarks_mm: ArrayLike, slots: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return for each slot (s,) which of its two landmarks is nearer to the camera: 0 or 1; 0 if both are equal.

    -1 if one of them is missing, so that the nearer one is not known.

    Args:
        camera: of the view.
        landmarks_mm: (k, 3), NaN where missing.
        slots: (s, 2) of `LandmarkSet.slots`.
    """
    depths = camera.depth_mm(landmarks_mm)[slots]
    near = (depths[:, 1] < depths[:, 0]).astype(np.intp)
    return np.where(np.isnan(depths).any(axis=1), -1, near)


def is_visible(
    camera: Camera, points_mm: ArrayLike, depth_image_mm: NDArray[np.floating], tolerance_mm: float
) -> NDArray[np.bool_]:
    """Return whether points (n, 3) are visible: no surface is in front of them by more than `tolerance_mm`.

    A point is compared with the farthest surface in the 3 x 3 pixels around it, because a landmark on a silhouette
    shares its pixel with the surface in front of it. A point outside the image is not visible.

    Args:
        camera: of the depth image.
        points_mm: (n, 3).
        depth_image_mm: (H, W) distance of the surface along the camera's axis; infinite without a surface.
        tolerance_mm: distance by which a point may be behind the surface.
    """
    height, width = depth_image_mm.shape
    padded = np.pad(depth_image_mm, 1, mode="edge")
    columns, rows = np.floor(camera.project(points_mm) * (width, height)).astype(int).T
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    depths = camera.depth_mm(points_mm)
    return np.array(
        [
            bool(here) and bool(depth <= padded[row : row + 3, column : column + 3].max() + tolerance_mm)
            for here, depth, row, column in zip(inside, depths, rows, columns, strict=True)
        ]
    )
