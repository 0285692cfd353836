"""The first stage of `predict`: from the job of one part to prepared meshes.

A sandboxed process loads and hashes each mesh, renders its views and registers the mean shape.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import pyarrow as pa

from featurelib.datasets.content_tags import content_tag, sha256_of_file, with_content_tags, with_tags
from featurelib.datasets.dataset import Dataset
from featurelib.datasets.shards import RenderSpec
from featurelib.datasets.shards.sandboxed import PreparedMesh, PrepareJob, prepare_mesh
from featurelib.geometry import LandmarkSet
from featurelib.meshes.template import Template
from featurelib.models.lifter.files import read_template
from featurelib.models.prediction_parts import PartReceipt, part_name, read_receipts
from featurelib.models.predictions import Failure
from featurelib.runtime import storage
from featurelib.runtime.sandbox import ProcessLostError, SandboxLimits, shared_sandbox
from jobs.workers.block_stream import LOST, is_out_of_tries, job_of


@dataclass(frozen=True)
class Models:
    """Which models predict.

    run: folder. spec: how its images are rendered. landmarks: its set. versions: hashes of its trained files, which
    depend on the set.
    """

    run: str
    spec: RenderSpec
    landmarks: LandmarkSet
    versions: tuple[str, ...]

    @property
    def made_by(self) -> list[Any]:
        """All that determines a prediction besides the mesh, as JSON values."""
        return [self.spec.to_dict(), list(self.versions)]


@dataclass(frozen=True, eq=False)
class Predicting:
    """What all tasks of a prediction share: the dataset, without objects, the models, the output folder, the limits."""

    dataset: Dataset
    models: Models
    template: Template
    out: str
    limits: SandboxLimits

    @classmethod
    def of(cls, dataset: Dataset, models: Models, out: str, limits: SandboxLimits) -> Self:
        """Read the mean shape of the models."""
        empty = replace(dataset, objects=dataset.objects.slice(0, 0))
        return cls(empty, models, read_template(models.run, models.spec.projection), out, limits)


class PreparedPart(NamedTuple):
    """A part after the first stage.

    name: its file name. tags: content tags by object. objects: by id, the prepared mesh or why there is none.
    receipt: of the existing part with this name; then nothing was prepared.
    """

    name: str
    tags: Mapping[str, str | None]
    objects: Mapping[str, PreparedMesh | Failure]
    receipt: PartReceipt | None = None


def prepare(block: pa.Table, predicting: Predicting) -> PreparedPart:
    """Prepare the objects of a block's job, unless a part with their content exists."""
    objects, job = job_of(block)
    planned = dataset = replace(predicting.dataset, objects=objects)
    if job["existing"]:
        dataset = with_content_tags(planned)
        name = part_name(job["bucket"], dataset.objects, predicting.models.made_by)
        if name in job["existing"]:
            (receipt,) = read_receipts(predicting.out, [name])
            return PreparedPart(name, _tags(dataset), {}, receipt)
    rows = objects.to_pylist()
    prepared = _reject_all(rows) if is_out_of_tries() else _prepare(predicting, rows)
    dataset = _as_prepared(planned, prepared)
    name = part_name(job["bucket"], dataset.objects, predicting.models.made_by)
    return PreparedPart(name, _tags(dataset), dict(zip(objects["object_id"].to_pylist(), prepared, strict=True)))


def _reject_all(rows: Sequence[Mapping[str, Any]]) -> list[PreparedMesh | Failure]:
    return [_lost(row, f"one of the {len(rows)} objects of its part {LOST}") for row in rows]


def _lost(row: Mapping[str, Any], reason: str) -> Failure:
    return Failure("process", f"meshes/{row['mesh']}: {reason}")


def _prepare(predicting: Predicting, rows: Sequence[Mapping[str, Any]]) -> list[PreparedMesh | Failure]:
    jobs = [
        PrepareJob(
            predicting.dataset.mesh_uri(row["mesh"]), predicting.models.spec, predicting.template, row["rotation_wxyz"]
        )
        for row in rows
    ]
    process = shared_sandbox(predicting.limits, "featurelib.datasets.shards.warm")
    prepared: list[PreparedMesh | Failure] = []
    for row, result in zip(rows, process.map(prepare_mesh, jobs), strict=True):
        if isinstance(result, ProcessLostError):
            prepared.append(_lost(row, str(result)))
        else:
            prepared.append(Failure("load", result) if isinstance(result, str) else result)
    return prepared


def _as_prepared(dataset: Dataset, prepared: Sequence[PreparedMesh | Failure]) -> Dataset:
    """Return the dataset with tags of the local content that was prepared; the tags of S3's listing stay."""
    if storage.is_s3(dataset.uri):
        return dataset
    hashes = [
        each.mesh_sha256 if isinstance(each, PreparedMesh) else sha256_of_file(dataset.mesh_uri(mesh))
        for mesh, each in zip(dataset.objects["mesh"].to_pylist(), prepared, strict=True)
    ]
    return with_tags(dataset, [content_tag(mesh_sha256) for mesh_sha256 in hashes])


def _tags(dataset: Dataset) -> dict[str, str | None]:
    ids, tags = (dataset.objects[name].to_pylist() for name in ("object_id", "mesh_tag"))
    return dict(zip(ids, tags, strict=True))
