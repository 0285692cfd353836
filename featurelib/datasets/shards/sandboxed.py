"""Work on one mesh in a sandboxed process: rows of its rendered views, images for a prediction, or GLB."""

import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.shards.png import encode_png
from featurelib.datasets.shards.spec import RenderSpec
from featurelib.datasets.shards.views import check_fits, object_views
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet
from featurelib.meshes import Limits, Mesh, load_mesh, parse_mesh, read_mesh
from featurelib.meshes.readers.sniffing import mesh_suffix_of
from featurelib.meshes.template import LocatedLandmarks, Template, locate
from featurelib.meshes.writers.glb import write_glb
from featurelib.rendering import Renderer, open_renderer
from featurelib.runtime import storage

Outcome = list[dict[str, Any]] | dict[str, str]
"""Rows of schemas.shard_schema, or one row of schemas.REJECTS."""


OUTWARD = re.compile(rb"^[ \t]*mtllib[^\r\n]*\.\.[/\\]", re.MULTILINE)
"""The material library of an OBJ above its own folder."""


@dataclass(frozen=True)
class ObjectJob:
    """One object to render.

    labels: a row of schemas.objects_schema. landmarks: the dataset's set.
    mesh_uri: of its file, None if it is missing.
    specs: by projection; all with the same unit, alignment and back end.
    """

    labels: Mapping[str, Any]
    landmarks: LandmarkSet
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
            raise DataError(f"{job.name}: no mesh file of this name; landmarks.csv names it")
        content = storage.read_bytes(job.mesh_uri)
        digest = hashlib.sha256(content).hexdigest()
        mesh = parse_mesh(content, job.mesh_uri, job.object_from_source)
    except DataError as error:
        return RenderedObject(dict.fromkeys(job.specs, reject(job.labels, "load", str(error))), digest)
    return RenderedObject({p: _outcome(mesh, job, digest, spec) for p, spec in job.specs.items()}, digest)


def _outcome(mesh: Mesh, job: ObjectJob, mesh_sha256: str, spec: RenderSpec) -> Outcome:
    try:
        return object_views(mesh, job.labels, job.landmarks, mesh_sha256, spec, _renderer(spec.backend))
    except DataError as error:
        return reject(job.labels, "render", str(error))


@dataclass(frozen=True, eq=False)
class PrepareJob:
    """A mesh file of a dataset to prepare for a predictor.

    template: the mean shape to register. rotation_wxyz: of the object, after the dataset's alignment.
    """

    mesh_uri: str
    spec: RenderSpec
    template: Template
    rotation_wxyz: Sequence[float] | None = None

    @property
    def object_from_source(self) -> NDArray[np.float64]:
        """(4, 4) from the mesh file to the object frame in mm."""
        return self.spec.object_from_source_of(self.rotation_wxyz)

    def read(self) -> bytes:
        """Return the content of the file."""
        return storage.read_bytes(self.mesh_uri)

    def load(self, content: bytes) -> Mesh:
        """Return the mesh in the object frame."""
        return parse_mesh(content, self.mesh_uri, self.object_from_source)


@dataclass(frozen=True, eq=False)
class UploadJob:
    """The content of an untrusted mesh file to prepare for a predictor.

    file_type: of MESH_SUFFIXES, used if the content has no signature. limits: beyond which the file is rejected.
    """

    content: bytes
    file_type: str
    spec: RenderSpec
    template: Template
    limits: Limits

    @property
    def object_from_source(self) -> NDArray[np.float64]:
        """(4, 4) from the mesh file to the object frame in mm."""
        return self.spec.object_from_source

    def read(self) -> bytes:
        """Return the content."""
        return self.content

    def load(self, content: bytes) -> Mesh:
        """Return the mesh in the object frame; no file is opened."""
        suffix = mesh_suffix_of(content) or self.file_type
        if suffix.endswith("obj") and OUTWARD.search(content):
            raise DataError("mesh: its mtllib names a file outside its folder; expected a file next to the mesh")
        return load_mesh(content, suffix, self.object_from_source, name="mesh", limits=self.limits)


class PreparedMesh(NamedTuple):
    """What a predictor needs of a mesh.

    mesh: in the object frame. pngs: the rig's views of it. located: the landmarks of the registered mean shape.
    object_from_source: (4, 4) from the mesh file to the object frame in mm. mesh_sha256: of the file's content.
    """

    mesh: Mesh
    pngs: tuple[bytes, ...]
    located: LocatedLandmarks
    object_from_source: NDArray[np.float64]
    mesh_sha256: str


def prepare_mesh(job: PrepareJob | UploadJob) -> PreparedMesh | str:
    """Load a mesh, render its views and, in a second thread, register the mean shape.

    The result is the reason instead if the mesh cannot be loaded or does not fit into the images.
    """
    spec = job.spec
    try:
        content = job.read()
        mesh = job.load(content)
        check_fits(mesh.vertices_mm, mesh, spec)
    except DataError as error:
        return str(error)
    with ThreadPoolExecutor(1) as pool:
        located = pool.submit(locate, job.template, mesh.vertices_mm, mesh.faces)
        images = _renderer(spec.backend).render(mesh, spec.cameras(mesh.centre_mm), spec.image_size)
        pngs = tuple(encode_png(image.pixels) for image in images)
        digest = hashlib.sha256(content).hexdigest()
        return PreparedMesh(mesh, pngs, located.result(), job.object_from_source, digest)


@dataclass(frozen=True, eq=False)
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


def reject(labels: Mapping[str, Any], stage: str, reason: str) -> dict[str, str]:
    """Return a row of schemas.REJECTS."""
    return {"object_id": labels["object_id"], "stage": stage, "reason": reason}


@functools.cache
def _renderer(backend: str) -> Renderer:
    """Open a back end (a GL context or compiled code) once per process."""
    return open_renderer(backend)
