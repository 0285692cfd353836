"""What the workers of `predict` do, in two stages of one stream whose blocks are whole parts.

1. Looking, a task a part: a child process loads each mesh, renders its views and registers the mean shape.
2. Answering, an actor with the networks: the detector sees the images of the whole part in one batch, each object is
   then looked at from near, and the part is written with one PUT. What goes on is a receipt.

Each stage takes about half of an object's CPU time: 0.23 s and 0.27 s on heads of 34,000 faces.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from featurelib.datasets.shards import RenderSpec
from featurelib.datasets.shards.sandboxed import PreparedMesh, PrepareJob, prepare_mesh
from featurelib.errors import FeaturelibError
from featurelib.meshes.template import LocatedPair, Template, locate
from featurelib.models.predictions import PREDICTIONS, no_prediction, prediction
from featurelib.models.requests import Seen
from featurelib.runtime import parquet, storage
from featurelib.runtime.sandbox import ProcessLostError, SandboxLimits, shared_sandbox
from featurelib.runtime.threads import limit_threads


@dataclass(frozen=True)
class Models:
    """What answers: the run's folder, how its images are rendered, and hashes of its networks and numbers."""

    run: str
    spec: RenderSpec
    versions: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Part:
    """Some objects of a dataset (rows of records.OBJECTS) and the file that receives their predictions."""

    uri: str
    objects: pa.Table

    @property
    def name(self) -> str:
        """Of the file."""
        return self.uri.rpartition("/")[2]

    def to_table(self) -> pa.Table:
        """Return the part as the stream's block: object_id, mesh (file name), rotation_wxyz and uri (of the part)."""
        uris = pa.array([self.uri] * len(self.objects))
        return self.objects.select(["object_id", "mesh", "rotation_wxyz"]).append_column("uri", uris)


@dataclass(frozen=True)
class Located:
    """A mesh as it is seen at first, and where the mean shape says that its landmarks are.

    object_from_source: (4, 4) its own.
    """

    object_from_source: NDArray[np.float64]
    look: PreparedMesh
    pair: LocatedPair


def look_at(job: PrepareJob, template: Template) -> Located | str:
    """Return a mesh's first look, or why there is none; runs in a child process."""
    look = prepare_mesh(job)
    if isinstance(look, str):
        return look
    pair = locate(template, look.mesh.vertices_mm, look.mesh.faces)
    return Located(job.spec.object_from_source_of(job.rotation_wxyz), look, pair)


def look_at_part(
    part: pa.Table, dataset: str, spec: RenderSpec, template: Template, limits: SandboxLimits
) -> dict[str, NDArray]:
    """Columns in: those of Part.to_table. Column added: found, a Located or an object's row of PREDICTIONS without."""
    ids, meshes, rotations = (part[name].to_pylist() for name in ("object_id", "mesh", "rotation_wxyz"))
    places = [storage.join(dataset, "meshes", mesh) for mesh in meshes]
    jobs = [PrepareJob(place, spec, wxyz) for place, wxyz in zip(places, rotations, strict=True)]
    found = np.empty(len(jobs), dtype=object)
    process = shared_sandbox(limits, "featurelib.datasets.shards.warm")
    for i, look in enumerate(process.map(partial(look_at, template=template), jobs)):
        if isinstance(look, ProcessLostError):
            found[i] = no_prediction(ids[i], "process", f"meshes/{meshes[i]}: {look}")
        else:
            found[i] = no_prediction(ids[i], "load", look) if isinstance(look, str) else look
    return {"object_id": np.array(ids, dtype=object), "uri": np.array(part["uri"].to_pylist(), object), "found": found}


class PartPredictor:
    """Holds a run's networks and answers whole parts."""

    def __init__(self, models: Models, cpus: int = 1) -> None:
        """Load the networks and let them use so many threads."""
        limit_threads(cpus)
        from featurelib.models.detector.model import Detector
        from featurelib.models.predictor import Predictor

        self.spec = models.spec
        self.detector = Detector.load(models.run, models.spec.projection)
        self.predictor = Predictor.load(models.run, models.spec.projection, models.spec)

    def __call__(self, part: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Write the part's predictions. Columns in: as of look_at_part. Columns out, one row: objects, rejected."""
        found = part["found"].tolist()
        seen = self.first_sight([each.look for each in found if isinstance(each, Located)])
        objects = zip(part["object_id"].tolist(), found, strict=True)
        rows = [self._row(key, each, next(seen)) if isinstance(each, Located) else each for key, each in objects]
        write_part(part["uri"][0], rows)
        rejected = sum(not row["accepted"] for row in rows)
        return {"objects": np.array([len(rows)]), "rejected": np.array([rejected])}

    def first_sight(self, looks: Sequence[PreparedMesh]) -> Iterator[Seen]:
        """Yield what the detector sees of each object; it is asked once for all."""
        sighting = self.detector([png for look in looks for png in look.pngs])
        num_views = len(self.spec.rig)
        for i in range(0, len(sighting.xy), num_views):
            yield Seen(sighting.xy[i : i + num_views], sighting.visible[i : i + num_views])

    def _row(self, object_id: str, found: Located, seen: Seen) -> dict[str, Any]:
        try:
            answer = self.predictor(found.look.mesh, seen, found.pair)
        except FeaturelibError as error:
            return no_prediction(object_id, "find", str(error))
        return prediction(object_id, answer, found.object_from_source)


def write_part(uri: str, rows: list[dict[str, Any]]) -> None:
    """Write rows of PREDICTIONS as a part."""
    parquet.write_table(uri, pa.Table.from_pylist(rows, schema=PREDICTIONS))
