"""Work on one mesh in a sandboxed process: rows of its rendered views, images for a prediction, or GLB."""

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
"""Rows of schemas.SHARD, or one row of schemas.REJECTS."""


OUTWARD = re.compile(rb"^[ \t]*mtllib[^\r\n]*\.\.[/\\]", re.MULTILINE)
"""The material library of an OBJ above its own folder."""


@dataclass(frozen=True)
class ObjectJob:
    """One object to render.

    labels: a row of schemas.OBJECTS. mesh_uri: of its file, None if it is missing.
    specs: by projection; all with the same unit, alignment and back end.
    """

    labels: Mapping[str, Any]
    mesh_uri: str | None
    specs: Mapping[str, RenderSpec]

    @property
    def name(self) -> str:
        """The path of the mesh file within the dataset; without its ending if the file is missing."""
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
            raise DataError(f"{job.name}: no mesh file of this name; add it or remove the row of landmarks.csv")
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
    """Return a mesh with the same images as in a rendering, or the reason why there are none."""
    try:
        return _prepared(read_mesh(job.mesh_uri, job.spec.object_from_source_of(job.rotation_wxyz)), job.spec)
    except DataError as error:
        return str(error)


@dataclass(frozen=True)
class UploadJob:
    """The content of an uploaded mesh file and the spec of its images.

    file_type: of MESH_SUFFIXES; a type recognised in the content overrides it. limits: of size and counts.
    """

    content: bytes
    file_type: str
    spec: RenderSpec
    limits: Limits


def prepare_upload(job: UploadJob) -> PreparedMesh | str:
    """Return the result of `prepare_mesh` for the content of a file; no file is opened.

    An OBJ whose material library is above its folder is rejected as an attack, although it would not be opened.
    """
    suffix = mesh_suffix_of(job.content) or job.file_type
    try:
        if suffix.endswith("obj") and OUTWARD.search(job.content):
            raise DataError("mesh: its mtllib is outside its folder; expected a file in the same folder")
        mesh = load_mesh(job.content, suffix, job.spec.object_from_source, name="mesh", limits=job.limits)
        return _prepared(mesh, job.spec)
    except DataError as error:
        return str(error)


@dataclass(frozen=True)
class GlbJob:
    """A mesh file to convert to GLB, and its (4, 4) object_from_source."""

    mesh_uri: str
    object_from_source: NDArray[np.float64]


def as_glb(job: GlbJob) -> bytes:
    """Return a mesh file as GLB in the object frame, in mm.

    Raises:
        DataError: if it is missing or bad.
    """
    return write_glb(read_mesh(job.mesh_uri, job.object_from_source))


def _prepared(mesh: Mesh, spec: RenderSpec) -> PreparedMesh:
    check_fits(mesh.vertices_mm, mesh, spec)
    images = _renderer(spec.backend).render(mesh, spec.cameras(mesh.centre_mm), spec.image_size)
    return PreparedMesh(mesh, tuple(encode_png(image.pixels) for image in images))


def reject(labels: Mapping[str, Any], stage: str, reason: str) -> dict[str, str]:
    """Return a row of schemas.REJECTS."""
    return {"object_id": labels["object_id"], "stage": stage, "reason": reason}


@functools.cache
def _renderer(backend: str) -> Renderer:
    """Open a back end (a GL context or compiled code) once per process."""
    return open_renderer(backend)
