"""The rows of one object: rendered images and the positions of its landmarks in them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.shards.png import encode_png
from featurelib.datasets.shards.spec import RenderSpec
from featurelib.errors import DataError
from featurelib.geometry import (
    Camera,
    LandmarkSet,
    Orthographic,
    apply,
    frame_needed_mm,
    is_visible,
    near_in_slots,
)
from featurelib.meshes import Mesh
from featurelib.rendering import RenderedView, Renderer

VISIBLE_TOLERANCE = 0.01
"""A landmark behind the surface by up to this fraction of the image width is visible: labels can be a little inside."""


def object_views(
    mesh: Mesh,
    labels: Mapping[str, Any],
    landmarks: LandmarkSet,
    mesh_sha256: str,
    spec: RenderSpec,
    renderer: Renderer,
) -> list[dict[str, Any]]:
    """Return one row of schemas.shard_schema for each view of the rig.

    Args:
        mesh: in the object frame.
        labels: object_id, group, split, rotation_wxyz, and landmarks and absent as in schemas.objects_schema.
        landmarks: the dataset's set.
        mesh_sha256: of the mesh file's content.
        spec: of the images.
        renderer: the back end.

    Raises:
        DataError: if no landmark is labelled, the object or a landmark does not fit into the image, or an image is
            blank.
    """
    points = np.reshape(labels["landmarks"], (-1, 3))
    landmarks_mm = apply(spec.object_from_source_of(labels.get("rotation_wxyz")), points)
    if np.isnan(landmarks_mm).all():
        raise DataError("none of its landmarks is labelled; label one, or remove its rows from landmarks.csv")
    check_fits(mesh.vertices_mm, mesh, spec)
    _check_landmarks_fit(landmarks_mm, landmarks, mesh, spec)
    cameras = spec.cameras(mesh.centre_mm)
    shared = {
        **{name: labels[name] for name in ("object_id", "group", "split")},
        "projection": spec.projection,
        "width": spec.image_size,
        "height": spec.image_size,
        "landmarks_mm": landmarks_mm.ravel().tolist(),
        "landmarks_absent": labels["absent"],
        "centre_mm": mesh.centre_mm.tolist(),
        "mesh_sha256": mesh_sha256,
    }
    images = renderer.render(mesh, cameras, spec.image_size)
    return [
        {**shared, "view": i, **_view(camera, landmarks_mm, landmarks.slots, image, spec)}
        for i, (camera, image) in enumerate(zip(cameras, images, strict=True))
    ]


def check_fits(points_mm: np.ndarray, mesh: Mesh, spec: RenderSpec, what: str = "the object") -> None:
    """Raise DataError, with the needed width, if points (n, 3) are outside the mesh's image in some view."""
    needed = frame_needed_mm(points_mm, mesh.centre_mm, spec.rig, spec.projection)
    if needed > spec.frame_mm:
        raise DataError(f"{what} needs a frame of {needed:.4g} mm; the frame is {spec.frame_mm:.4g} mm (--frame-mm)")


def _check_landmarks_fit(
    landmarks_mm: NDArray[np.float64], landmarks: LandmarkSet, mesh: Mesh, spec: RenderSpec
) -> None:
    """Raise DataError, with its name, if one of the labelled landmarks (k, 3) is outside the mesh's image in a view."""
    is_labelled = np.isfinite(landmarks_mm).all(axis=1)
    if frame_needed_mm(landmarks_mm[is_labelled], mesh.centre_mm, spec.rig, spec.projection) > spec.frame_mm:
        for i in np.flatnonzero(is_labelled):
            check_fits(landmarks_mm[i : i + 1], mesh, spec, what=f"landmark {landmarks.names[i]}")


def _view(
    camera: Camera, landmarks_mm: NDArray[np.float64], slots: NDArray[np.intp], image: RenderedView, spec: RenderSpec
) -> dict[str, Any]:
    if not np.isfinite(image.depth_mm).any():
        raise DataError("an image is blank: no face of the mesh covers a pixel")
    is_labelled = np.isfinite(landmarks_mm).all(axis=1)
    visible = np.zeros(len(landmarks_mm), dtype=bool)
    tolerance_mm = VISIBLE_TOLERANCE * spec.frame_mm
    visible[is_labelled] = is_visible(camera, landmarks_mm[is_labelled], image.depth_mm, tolerance_mm)
    lens = camera.lens
    return {
        "png": encode_png(image.pixels),
        "landmarks_xy": camera.project(landmarks_mm).ravel().tolist(),
        "landmarks_visible": visible.tolist(),
        "near": near_in_slots(camera, landmarks_mm, slots).tolist(),
        "object_from_camera": camera.object_from_camera.ravel().tolist(),
        "half_height_mm": lens.half_height_mm if isinstance(lens, Orthographic) else None,
        "yfov_deg": None if isinstance(lens, Orthographic) else lens.yfov_deg,
    }
