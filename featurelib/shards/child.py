"""What runs in a render child: one mesh file in, the rows of all its pictures out."""

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib import storage
from featurelib.errors import DataError
from featurelib.geometry import Rig, frame_needed_mm
from featurelib.meshes import Mesh, load_mesh
from featurelib.rendering import Renderer, open_renderer
from featurelib.shards.files import encode_png
from featurelib.shards.spec import RenderSpec
from featurelib.shards.views import check_fits, object_views

Outcome = list[dict[str, Any]] | dict[str, str]
"""Rows of records.SHARD, or one row of records.REJECTS."""


@dataclass(frozen=True)
class FrameJob:
    """A mesh file whose needed image width is asked for, for each of the projections."""

    mesh_uri: str
    object_from_source: NDArray[np.float64]
    rig: Rig
    projections: tuple[str, ...]


def needed_frames_mm(job: FrameJob) -> dict[str, float] | None:
    """Return the image width in mm that an object needs, by projection; None if its file is bad."""
    try:
        _, mesh = _load(job.mesh_uri, job.object_from_source)
    except DataError:
        return None
    return {p: frame_needed_mm(mesh.vertices_mm, mesh.centre_mm, job.rig, p) for p in job.projections}


@dataclass(frozen=True)
class ObjectJob:
    """One object and how to render it.

    labels: a row of records.OBJECTS. mesh_uri: of its file, None if there is none.
    specs: by projection; all with the same unit, alignment and back end.
    """

    labels: Mapping[str, Any]
    mesh_uri: str | None
    specs: Mapping[str, RenderSpec]

    @property
    def name(self) -> str:
        """The mesh file as the user knows it, or what it should be."""
        return f"meshes/{self.labels['mesh'] or self.labels['object_id']}"


def render_object(job: ObjectJob) -> dict[str, Outcome]:
    """Return an object's rows, or why there are none, by projection. The mesh is loaded once for all."""
    spec = next(iter(job.specs.values()))
    try:
        if job.mesh_uri is None:
            raise DataError(f"{job.name}: no mesh file of this name; landmarks.csv names it")
        content, mesh = _load(job.mesh_uri, spec.object_from_source)
    except DataError as error:
        return dict.fromkeys(job.specs, reject(job.labels, "load", str(error)))
    digest = hashlib.sha256(content).hexdigest()
    outcomes: dict[str, Outcome] = {}
    for projection, spec in job.specs.items():
        try:
            outcomes[projection] = object_views(mesh, job.labels, digest, spec, _renderer(spec.backend))
        except DataError as error:
            outcomes[projection] = reject(job.labels, "render", str(error))
    return outcomes


@dataclass(frozen=True)
class FirstLookJob:
    """A mesh file without labels, and how to render it."""

    mesh_uri: str
    spec: RenderSpec


class FirstLook(NamedTuple):
    """A mesh in the object frame and the PNGs of the rig's views of it."""

    mesh: Mesh
    pngs: tuple[bytes, ...]


def first_look(job: FirstLookJob) -> FirstLook | str:
    """Return a mesh and the same pictures of it as a rendering makes, or why there are none."""
    spec = job.spec
    try:
        mesh = _load(job.mesh_uri, spec.object_from_source)[1]
        check_fits(mesh.vertices_mm, mesh, spec)
        pictures = list(_renderer(spec.backend).render(mesh, spec.cameras(mesh.centre_mm), spec.image_size))
    except DataError as error:
        return str(error)
    return FirstLook(mesh, tuple(encode_png(picture.pixels) for picture in pictures))


def _load(uri: str, object_from_source: NDArray[np.float64]) -> tuple[bytes, Mesh]:
    """Return a mesh file's content and its mesh in the object frame."""
    content, name = storage.read_bytes(uri), uri.rpartition("/")[2]
    return content, load_mesh(content, name.rpartition(".")[2], object_from_source, name=f"meshes/{name}")


def reject(labels: Mapping[str, Any], stage: str, reason: str) -> dict[str, str]:
    """Return a row of records.REJECTS."""
    return {"object_id": labels["object_id"], "stage": stage, "reason": reason}


@functools.cache
def _renderer(backend: str) -> Renderer:
    """Open a back end once a process: a GL context, or compiled code."""
    return open_renderer(backend)
