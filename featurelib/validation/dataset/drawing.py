"""Three small images of an object, with the positions of its landmarks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.shards import encode_png
from featurelib.errors import DataError
from featurelib.geometry import Camera, Orthographic, Rig, View, frame_needed_mm, is_visible
from featurelib.meshes import Mesh, read_mesh
from featurelib.validation.dataset.measure import OCCLUDED_SHARE, MeasureJob, renderer

SHEET_VIEWS = Rig((View(90.0), View(0.0), View(-90.0)))
"""From the object's left, from its front and from its right."""

VIEW_NAMES = ("from its left", "front", "from its right")

SHEET_PX = 176
"""Width and height of an image: 8 kB as PNG."""

MARGIN = 1.06
"""Ratio of the image width to the object's extent."""


@dataclass(frozen=True)
class Mark:
    """A landmark in an image: its name, its role in the set, x and y in [0, 1], and whether the surface occludes it."""

    name: str
    role: str
    x: float
    y: float
    is_occluded: bool


@dataclass(frozen=True)
class Drawing:
    """An object in the views of SHEET_VIEWS.

    pngs: one PNG file per view. marks: of the labelled landmarks per view, in the set's order.
    frame_mm: width of the images at the object.
    """

    object_id: str
    pngs: tuple[bytes, ...]
    marks: tuple[tuple[Mark, ...], ...]
    frame_mm: float


def draw(job: MeasureJob) -> Drawing | None:
    """Load an object's mesh and draw it; return None if the mesh cannot be read."""
    try:
        mesh = read_mesh(job.mesh_uri, job.object_from_source)
    except DataError:
        return None  # the rule for unreadable meshes reports it
    return draw_mesh(mesh, job)


def draw_mesh(mesh: Mesh, job: MeasureJob) -> Drawing:
    """Draw a loaded mesh so that it fills its images, whatever its size."""
    frame_mm = MARGIN * frame_needed_mm(mesh.vertices_mm, mesh.centre_mm, SHEET_VIEWS, "orthographic")
    cameras = SHEET_VIEWS.cameras(mesh.centre_mm, Orthographic(frame_mm / 2), frame_mm)
    pngs, marks = [], []
    for camera, image in zip(cameras, renderer().render(mesh, cameras, SHEET_PX), strict=True):
        pngs.append(encode_png(image.pixels))
        marks.append(_marks(job, camera, image.depth_mm, OCCLUDED_SHARE * frame_mm))
    return Drawing(job.object_id, tuple(pngs), tuple(marks), frame_mm)


def _marks(job: MeasureJob, camera: Camera, depth_mm: NDArray[np.floating], tolerance_mm: float) -> tuple[Mark, ...]:
    """Return the labelled landmarks in an image."""
    if job.landmarks_mm is None:
        return ()
    labelled = np.flatnonzero(np.isfinite(job.landmarks_mm).all(axis=1))
    points_mm, names, roles = job.landmarks_mm[labelled], job.landmarks.names, job.landmarks.roles
    seen = is_visible(camera, points_mm, depth_mm, tolerance_mm)
    return tuple(
        Mark(names[i], roles[i], float(x), float(y), not is_seen)
        for i, (x, y), is_seen in zip(labelled, camera.project(points_mm), seen, strict=True)
    )
