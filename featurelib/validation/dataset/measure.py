"""The measurement of one object, from one reading of its mesh: the input of the rules."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import DataError
from featurelib.geometry import (
    DEFAULT_RIG,
    PROJECTIONS,
    SIDES,
    LandmarkSet,
    Orthographic,
    Rig,
    View,
    frame_needed_mm,
    is_visible,
)
from featurelib.labelling.closeups import MOST_LANDMARKS, CloseUps, close_ups
from featurelib.meshes import Mesh, parse_mesh, read_mesh
from featurelib.meshes.pose_search import ReferenceShape
from featurelib.meshes.reference import Fit, build_reference, fit_to
from featurelib.meshes.shape import invariants
from featurelib.meshes.surface import closest_points
from featurelib.rendering import Renderer, open_renderer
from featurelib.runtime import storage
from featurelib.validation.dataset.strays import Strays, find_strays

SIDE_VIEWS = Rig((View(90.0), View(-90.0)))
"""The views from the object's left and from its right."""

_LEFT_VIEWS = (View(90.0), View(30.0), View(30.0, 60.0), View(30.0, -60.0), View(150.0))
OTHER_VIEWS = Rig((*_LEFT_VIEWS, *(View(-view.azimuth_deg, view.elevation_deg) for view in _LEFT_VIEWS[::-1])))
"""The views of which at least one should show a landmark without a side; the first and the last are SIDE_VIEWS."""

SIDE_PX = 128
"""Width of the images that decide whether a landmark is occluded: 3 mm per pixel on a head."""

OBLIQUE_VIEWS = Rig((View(50.0, 25.0), View(0.0, -20.0), View(-50.0, 25.0)))
"""Views from which also a flat object has two shades, and a box several."""

OCCLUDED_SHARE = 0.01
"""A landmark farther behind the surface than this share of the image width is occluded, as in `render`."""


@dataclass(frozen=True, eq=False)
class MeasureJob:
    """One object to measure.

    object_from_source: (4, 4). landmarks: the dataset's set.
    landmarks_mm: (k, 3) landmarks in the object frame, NaN where not labelled; None if none is.
    reference: the shape that the mesh is compared with, if there is one.
    """

    object_id: str
    mesh_uri: str
    object_from_source: NDArray[np.float64]
    landmarks: LandmarkSet
    landmarks_mm: NDArray[np.float64] | None = None
    reference: ReferenceShape | None = None


@dataclass(frozen=True, eq=False)
class Labelled:
    """The measurement of an object's landmarks.

    landmarks_mm: (k, 3) in the object frame, NaN where not labelled.
    off_mm: (k,) distances from the surface.
    is_occluded: (k,) whether the surface hides the landmark in the view from its side; of one without a side, in each
        of OTHER_VIEWS.
    frames_mm: (k,) the image width that each needs, by projection.
    """

    landmarks_mm: NDArray[np.float64]
    off_mm: NDArray[np.float64]
    is_occluded: NDArray[np.bool_]
    frames_mm: Mapping[str, NDArray[np.float64]]

    @property
    def is_labelled(self) -> NDArray[np.bool_]:
        """(k,) whether each landmark is labelled."""
        return np.isfinite(self.off_mm)


@dataclass(frozen=True, eq=False)
class Measurement:
    """The measurement of one mesh, in the object frame.

    sha256: of the file. bounds_mm: (2, 3) corners of the bounding box. num_faces: number of triangles.
    frames_mm: the image width that the mesh needs, by projection.
    invariants: see `featurelib.meshes.shape`. labels: None without labels.
    fit: None without a reference, or if the reference cannot be registered.
    flat_share: largest share of its pixels in three views that are of one grey value.
    strays: the parts far from the rest, None without any. notes: of `Mesh`.
    close_ups: of the labels of a small set; None of a large one, without labels, and without a fit.
    """

    object_id: str
    sha256: str
    bounds_mm: NDArray[np.float64]
    num_faces: int
    frames_mm: Mapping[str, float]
    invariants: NDArray[np.float64]
    labels: Labelled | None
    fit: Fit | None
    flat_share: float = 0.0
    strays: Strays | None = None
    notes: tuple[str, ...] = ()
    close_ups: CloseUps | None = None

    @property
    def size_mm(self) -> float:
        """The diagonal of the bounding box."""
        return float(np.linalg.norm(np.ptp(self.bounds_mm, axis=0)))


@dataclass(frozen=True)
class Unread:
    """An object whose mesh could not be measured, and why, in one line."""

    object_id: str
    reason: str


@dataclass(frozen=True, eq=False)
class ReferenceJob:
    """The sample of mesh files for a reference, each with its (4, 4) object_from_source."""

    meshes: Sequence[tuple[str, NDArray[np.float64]]]


def measure(job: MeasureJob) -> Measurement | Unread:
    """Load an object's mesh and measure it."""
    try:
        content = storage.read_bytes(job.mesh_uri)
        mesh = parse_mesh(content, job.mesh_uri, job.object_from_source)
    except DataError as error:
        return Unread(job.object_id, str(error))
    return measure_mesh(mesh, job, hashlib.sha256(content).hexdigest())


def measure_mesh(mesh: Mesh, job: MeasureJob, sha256: str = "") -> Measurement:
    """Return the measurement of a loaded mesh; sha256: of its file."""
    fit = None if job.reference is None else fit_to(mesh, job.reference, job.landmarks_mm)
    return Measurement(
        object_id=job.object_id,
        sha256=sha256,
        bounds_mm=mesh.bounds_mm,
        num_faces=len(mesh.faces),
        frames_mm=_frames_mm(mesh.vertices_mm, mesh),
        invariants=invariants(mesh.vertices_mm, mesh.faces),
        labels=None if job.landmarks_mm is None else _labelled(mesh, job.landmarks, job.landmarks_mm),
        fit=fit,
        flat_share=_flat_share(mesh),
        strays=find_strays(mesh),
        notes=mesh.notes,
        close_ups=_close_ups(mesh, job.landmarks_mm, fit),
    )


def measure_reference(job: ReferenceJob) -> ReferenceShape | None:
    """Return the reference shape of a sample; None if no file of it can be read."""
    meshes = []
    for uri, object_from_source in job.meshes:
        try:
            meshes.append(read_mesh(uri, object_from_source))
        except DataError:
            continue  # `measure` reports it
    return build_reference(meshes) if meshes else None


def _close_ups(mesh: Mesh, landmarks_mm: NDArray[np.float64] | None, fit: Fit | None) -> CloseUps | None:
    if landmarks_mm is None or fit is None or fit.landmarks is None or len(landmarks_mm) > MOST_LANDMARKS:
        return None
    return close_ups(mesh, landmarks_mm, fit.rotation, fit.landmarks)


def _labelled(mesh: Mesh, landmarks: LandmarkSet, landmarks_mm: NDArray[np.float64]) -> Labelled:
    is_labelled = np.asarray(np.isfinite(landmarks_mm).all(axis=1))
    off_mm = np.full(len(landmarks_mm), np.nan)
    off_mm[is_labelled] = closest_points(landmarks_mm[is_labelled], mesh.vertices_mm, mesh.faces)[1]
    frames_mm = [_frames_mm([point_mm], mesh) for point_mm in landmarks_mm]
    return Labelled(
        landmarks_mm,
        off_mm,
        _is_occluded(mesh, landmarks, landmarks_mm, is_labelled),
        {p: np.array([needed_mm[p] for needed_mm in frames_mm]) for p in PROJECTIONS},
    )


def _is_occluded(
    mesh: Mesh, landmarks: LandmarkSet, landmarks_mm: NDArray[np.float64], is_labelled: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return whether the surface hides each landmark (k,); not those that are not labelled."""
    has_side = np.array([side is not None for side in landmarks.sides])
    rig = SIDE_VIEWS if has_side[is_labelled].all() else OTHER_VIEWS
    own_view = np.array([(len(rig) - 1) * (side == SIDES[1]) for side in landmarks.sides])
    frame_mm = frame_needed_mm(mesh.vertices_mm, mesh.centre_mm, rig, "orthographic")
    cameras = rig.cameras(mesh.centre_mm, Orthographic(frame_mm / 2), frame_mm)
    is_seen = np.zeros((len(rig), len(landmarks_mm)), dtype=bool)
    for i, (camera, image) in enumerate(zip(cameras, renderer().render(mesh, cameras, SIDE_PX), strict=True)):
        asked = is_labelled & (~has_side | (own_view == i))
        is_seen[i, asked] = is_visible(camera, landmarks_mm[asked], image.depth_mm, OCCLUDED_SHARE * frame_mm)
    return is_labelled & ~is_seen.any(axis=0)


def _flat_share(mesh: Mesh) -> float:
    """Return the largest share of the object's pixels whose grey values differ by at most 2 levels of 255."""
    frame_mm = frame_needed_mm(mesh.vertices_mm, mesh.centre_mm, OBLIQUE_VIEWS, "orthographic")
    cameras = OBLIQUE_VIEWS.cameras(mesh.centre_mm, Orthographic(frame_mm / 2), frame_mm)
    counts = np.zeros(256)
    for image in renderer().render(mesh, cameras, SIDE_PX):
        grey = image.pixels if image.pixels.ndim == 2 else image.pixels.mean(axis=-1).astype(np.uint8)
        counts += np.bincount(grey[np.isfinite(image.depth_mm)], minlength=256)
    return float(np.convolve(counts, np.ones(3)).max() / max(counts.sum(), 1))


def _frames_mm(points_mm: ArrayLike, mesh: Mesh) -> dict[str, float]:
    return {p: frame_needed_mm(points_mm, mesh.centre_mm, DEFAULT_RIG, p) for p in PROJECTIONS}


@functools.cache
def renderer() -> Renderer:
    """Return the CPU renderer, compiled once per process."""
    return open_renderer("raster")
