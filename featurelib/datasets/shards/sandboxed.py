"""What runs in a render child: one mesh file in, the rows of all its images out."""

import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.shards.png import encode_png
from featurelib.datasets.shards.spec import RenderSpec
from featurelib.datasets.shards.views import check_fits, object_views
from featurelib.errors import DataError
from featurelib.meshes import Limits, Mesh, load_mesh, parse_mesh, read_mesh
from featurelib.meshes.readers.sniffing import mesh_suffix_of
from featurelib.meshes.writers.glb import write_glb
from featurelib.rendering import Renderer, open_renderer
from featurelib.runtime import storage

Outcome = list[dict[str, Any]] | dict[str, str]
"""Rows of records.SHARD, or one row of records.REJECTS."""


OUTWARD = re.compile(rb"^[ \t]*mtllib[^\r\n]*\.\.[/\\]", re.MULTILINE)
"""An OBJ's material library above its own folder."""


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

    @property
    def object_from_source(self) -> NDArray[np.float64]:
        """(4, 4) from the object's mesh file to the object frame in mm."""
        return next(iter(self.specs.values())).object_from_source_of(self.labels.get("rotation_wxyz"))


class RenderedObject(NamedTuple):
    """The outcomes of one object by projection, and the SHA-256 of the file's content; None if it cannot be read."""

    outcomes: Mapping[str, Outcome]
    mesh_sha256: str | None


def render_object(job: ObjectJob) -> RenderedObject:
    """Read an object's file once and return its rows, or why there are none, by projection."""
    digest = None
    try:
        if job.mesh_uri is None:
            raise DataError(f"{job.name}: no mesh file of this name; landmarks.csv names it")
        content = storage.read_bytes(job.mesh_uri)
        digest = hashlib.sha256(content).hexdigest()
        mesh = parse_mesh(content, job.mesh_uri, job.object_from_source)
    except DataError as error:
        return RenderedObject(dict.fromkeys(job.specs, reject(job.labels, "load", str(error))), digest)
    return RenderedObject({p: _outcome(mesh, job.labels, digest, spec) for p, spec in job.specs.items()}, digest)


def _outcome(mesh: Mesh, labels: Mapping[str, Any], mesh_sha256: str, spec: RenderSpec) -> Outcome:
    try:
        return object_views(mesh, labels, mesh_sha256, spec, _renderer(spec.backend))
    except DataError as error:
        return reject(labels, "render", str(error))


@dataclass(frozen=True)
class PrepareJob:
    """A mesh file without labels, how to render it, and the rotation of its object after the alignment."""

    mesh_uri: str
    spec: RenderSpec
    rotation_wxyz: Sequence[float] | None = None


class PreparedMesh(NamedTuple):
    """A mesh in the object frame and the PNGs of the rig's views of it."""

    mesh: Mesh
    pngs: tuple[bytes, ...]


def prepare_mesh(job: PrepareJob) -> PreparedMesh | str:
    """Return a mesh and the same images of it as a rendering makes, or why there are none."""
    try:
        return _prepared(read_mesh(job.mesh_uri, job.spec.object_from_source_of(job.rotation_wxyz)), job.spec)
    except DataError as error:
        return str(error)


@dataclass(frozen=True)
class UploadJob:
    """A mesh file's content that somebody sent, its type if that can be told, and how to render it.

    file_type: of MESH_SUFFIXES; what the bytes themselves say goes before it. limits: how much of it is believed.
    """

    content: bytes
    file_type: str
    spec: RenderSpec
    limits: Limits


def prepare_upload(job: UploadJob) -> PreparedMesh | str:
    """Return what `prepare_mesh` does, of bytes; no file is opened.

    A file that names another one above its folder would find nothing there, but nobody sends one in good faith.
    """
    suffix = mesh_suffix_of(job.content) or job.file_type
    try:
        if suffix.endswith("obj") and OUTWARD.search(job.content):
            raise DataError("mesh: its mtllib leads out of its folder; expected a file beside it")
        mesh = load_mesh(job.content, suffix, job.spec.object_from_source, name="mesh", limits=job.limits)
        return _prepared(mesh, job.spec)
    except DataError as error:
        return str(error)


@dataclass(frozen=True)
class GlbJob:
    """A mesh file that is wanted as GLB in the object frame."""

    mesh_uri: str
    object_from_source: NDArray[np.float64]


def as_glb(job: GlbJob) -> bytes:
    """Return a mesh file as GLB, in the object frame and mm.

    Raises:
        DataError: if it is missing or bad.
    """
    return write_glb(read_mesh(job.mesh_uri, job.object_from_source))


def _prepared(mesh: Mesh, spec: RenderSpec) -> PreparedMesh:
    check_fits(mesh.vertices_mm, mesh, spec)
    images = _renderer(spec.backend).render(mesh, spec.cameras(mesh.centre_mm), spec.image_size)
    return PreparedMesh(mesh, tuple(encode_png(image.pixels) for image in images))


def reject(labels: Mapping[str, Any], stage: str, reason: str) -> dict[str, str]:
    """Return a row of records.REJECTS."""
    return {"object_id": labels["object_id"], "stage": stage, "reason": reason}


@functools.cache
def _renderer(backend: str) -> Renderer:
    """Open a back end once a process: a GL context, or compiled code."""
    return open_renderer(backend)
