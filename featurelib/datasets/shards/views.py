"""The rows of one object: rendered images and the positions of its landmarks in them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from featurelib.datasets.shards.png import encode_png
from featurelib.datasets.shards.spec import RenderSpec
from featurelib.errors import DataError
from featurelib.geometry import SIDES, Camera, Orthographic, apply, frame_needed_mm, is_visible, near_side
from featurelib.meshes import Mesh
from featurelib.rendering import RenderedView, Renderer

VISIBLE_TOLERANCE = 0.01
"""A landmark behind the surface by up to this fraction of the image width is visible: labels can be a little inside."""


def object_views(
    mesh: Mesh, labels: Mapping[str, Any], mesh_sha256: str, spec: RenderSpec, renderer: Renderer
) -> list[dict[str, Any]]:
    """Return one row of schemas.SHARD for each view of the rig.

    Args:
        mesh: in the object frame.
        labels: object_id, group, split, rotation_wxyz, and left and right in source frame and unit.
        mesh_sha256: of the mesh file's content.
        spec: of the images.
        renderer: the back end.

    Raises:
        DataError: if the object or a landmark does not fit into the image, or an image is blank.
    """
    landmarks_mm = apply(spec.object_from_source_of(labels.get("rotation_wxyz")), [labels["left"], labels["right"]])
    check_fits(mesh.vertices_mm, mesh, spec)
    check_fits(landmarks_mm, mesh, spec, what="a landmark")
    cameras = spec.cameras(mesh.centre_mm)
    shared = {
        **{name: labels[name] for name in ("object_id", "group", "split")},
        "projection": spec.projection,
        "width": spec.image_size,
        "height": spec.image_size,
        "left_mm": landmarks_mm[0].tolist(),
        "right_mm": landmarks_mm[1].tolist(),
        "centre_mm": mesh.centre_mm.tolist(),
        "mesh_sha256": mesh_sha256,
    }
    images = renderer.render(mesh, cameras, spec.image_size)
    return [
        {**shared, "view": i, **_view(camera, landmarks_mm, image, spec)}
        for i, (camera, image) in enumerate(zip(cameras, images, strict=True))
    ]


def check_fits(points_mm: np.ndarray, mesh: Mesh, spec: RenderSpec, what: str = "the object") -> None:
    """Raise DataError, with the needed width, if points (n, 3) are outside the mesh's image in some view."""
    needed = frame_needed_mm(points_mm, mesh.centre_mm, spec.rig, spec.projection)
    if needed > spec.frame_mm:
        raise DataError(f"{what} needs a frame of {needed:.4g} mm; the frame is {spec.frame_mm:.4g} mm (--frame-mm)")


def _view(camera: Camera, landmarks_mm: np.ndarray, image: RenderedView, spec: RenderSpec) -> dict[str, Any]:
    if not np.isfinite(image.depth_mm).any():
        raise DataError("an image is blank: no face of the mesh covers a pixel")
    landmarks_xy = camera.project(landmarks_mm)
    visible = is_visible(camera, landmarks_mm, image.depth_mm, VISIBLE_TOLERANCE * spec.frame_mm)
    near = near_side(camera, landmarks_mm)
    lens = camera.lens
    return {
        "png": encode_png(image.pixels),
        "left_xy": landmarks_xy[0].tolist(),
        "right_xy": landmarks_xy[1].tolist(),
        "left_visible": bool(visible[0]),
        "right_visible": bool(visible[1]),
        "near_side": near,
        "xy": landmarks_xy[SIDES.index(near)].tolist(),
        "object_from_camera": camera.object_from_camera.ravel().tolist(),
        "half_height_mm": lens.half_height_mm if isinstance(lens, Orthographic) else None,
        "yfov_deg": None if isinstance(lens, Orthographic) else lens.yfov_deg,
    }
