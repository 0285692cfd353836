"""Three small images of an object, and where its landmarks are in them."""

from dataclasses import dataclass

from featurelib.datasets.shards import encode_png
from featurelib.errors import DataError
from featurelib.geometry import Orthographic, Rig, View, frame_needed_mm, is_visible
from featurelib.meshes import Mesh, read_mesh
from featurelib.validation.dataset.measure import OCCLUDED_SHARE, MeasureJob, renderer

SHEET_VIEWS = Rig((View(90.0), View(0.0), View(-90.0)))
"""From the object's left, from its front and from its right."""

VIEW_NAMES = ("from its left", "front", "from its right")

SHEET_PX = 176
"""Width of an image: 8 kB of PNG."""

MARGIN = 1.06
"""Image over object."""


@dataclass(frozen=True)
class Mark:
    """A landmark in an image: x and y in [0, 1], and whether the surface hides it."""

    x: float
    y: float
    is_occluded: bool


@dataclass(frozen=True)
class Drawing:
    """An object in the views of SHEET_VIEWS.

    pngs: a PNG file each. marks: left and right in each; empty without labels.
    frame_mm: the width of the images.
    """

    object_id: str
    pngs: tuple[bytes, ...]
    marks: tuple[tuple[Mark, ...], ...]
    frame_mm: float


def draw(job: MeasureJob) -> Drawing | None:
    """Load an object's mesh and draw it; None if it cannot be read."""
    try:
        mesh = read_mesh(job.mesh_uri, job.object_from_source)
    except DataError:
        return None  # it has a finding of its own
    return draw_mesh(mesh, job)


def draw_mesh(mesh: Mesh, job: MeasureJob) -> Drawing:
    """Draw a loaded mesh, large enough to fill its images whatever its size."""
    frame_mm = MARGIN * frame_needed_mm(mesh.vertices_mm, mesh.centre_mm, SHEET_VIEWS, "orthographic")
    cameras = SHEET_VIEWS.cameras(mesh.centre_mm, Orthographic(frame_mm / 2), frame_mm)
    pngs, marks = [], []
    for camera, image in zip(cameras, renderer().render(mesh, cameras, SHEET_PX), strict=True):
        pngs.append(encode_png(image.pixels))
        if job.pair_mm is not None:
            xy = camera.project(job.pair_mm)
            seen = is_visible(camera, job.pair_mm, image.depth_mm, OCCLUDED_SHARE * frame_mm)
            marks.append(tuple(Mark(float(x), float(y), not s) for (x, y), s in zip(xy, seen, strict=True)))
    return Drawing(job.object_id, tuple(pngs), tuple(marks), frame_mm)
