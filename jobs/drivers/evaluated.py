"""What evaluate measures: a run's methods on its test objects, and the files of the report."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import ray
from numpy.typing import NDArray

from featurelib.datasets.csv_table import write_rows
from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.leakage import find_leaks
from featurelib.datasets.repeats import repeat_distances
from featurelib.datasets.shards import Manifest, open_renders, read_views
from featurelib.errors import DataError
from featurelib.evaluation import (
    REPORT_SCHEMA,
    Answers,
    ErrorTable,
    ReportImage,
    WorstObject,
    detector_report,
    landmarks_report,
    lifter_report,
    method_errors_mm,
    page,
    pairs_report,
    presence_report,
    repeats_report,
    uncertainty_report,
    views_to_show,
    worst_rows,
)
from featurelib.evaluation.coverage import Regions
from featurelib.evaluation.learning import curve_report
from featurelib.evaluation.summaries import is_known
from featurelib.geometry import SIDES
from featurelib.models.lifter.files import lifter_version
from featurelib.models.lifter.files import read_numbers as read_lifter
from featurelib.models.lifter.vectors import Vectors, read_vectors, refuse_empty_splits
from featurelib.models.predictions import REFINED
from featurelib.models.refiner.files import read_numbers as read_refiner
from featurelib.models.refiner.files import refiner_uri
from featurelib.models.uncertainty.model import UncertaintyModel
from featurelib.runtime import storage
from jobs.workers import cluster
from jobs.workers.inference import MeshPrediction, PredictorKey, lifter_landmarks, mesh_files, predict_all
from jobs.workers.leakage import gather_contents
from jobs.workers.near_duplicates import near_duplicates

PER_OBJECT = ("object_id", "projection", "method", "landmark", "x_mm", "y_mm", "z_mm", "error_mm")
"""The columns of per_object.csv: a row for each object, projection, method and landmark."""


class Evaluated(NamedTuple):
    """One projection's predictions for n test objects: (n, k, 3) by method, the chosen method's with uncertainty.

    found: the predictor's results; None for an object without one. chosen: the method of these.
    """

    manifest: Manifest
    vectors: Vectors
    estimates_mm: Mapping[str, NDArray[np.float64]]
    found: Sequence[MeshPrediction | None]
    chosen: str
    uncertainty: Regions

    @property
    def projection(self) -> str:
        """The projection."""
        return self.manifest.spec.projection

    @property
    def errors(self) -> ErrorTable:
        """The errors of all methods."""
        by_method = method_errors_mm(self.estimates_mm, self.vectors)
        return ErrorTable(self.vectors.object_ids.tolist(), is_known(self.vectors.landmarks_mm), by_method)

    @property
    def answers(self) -> Answers:
        """The chosen method's answers, for the objects that have one."""
        known = np.flatnonzero([of_one is not None for of_one in self.found])
        predictions = [of_one.prediction for of_one in self.found if of_one]
        return Answers(
            self.vectors.object_ids[known].tolist(),
            self.estimates_mm[self.chosen][known] - self.vectors.landmarks_mm[known],
            np.array([prediction.covariance_mm2 for prediction in predictions]),
            np.array([prediction.uncertainty.accepted for prediction in predictions]),
            [prediction.uncertainty.summary(self.names) for prediction in predictions],
            np.array([prediction.is_present for prediction in predictions]),
            self.vectors.absent[known],
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The k names of the landmarks; of a single pair, its sides."""
        landmarks = self.vectors.landmarks
        return SIDES if landmarks.is_single_pair else landmarks.names


def evaluated(run: str, projection: str, refiner: str | None) -> Evaluated:
    """Run all methods on the test objects; `refiner` is the version of the projection's refiner, if it has one."""
    cluster.connect()
    manifest, vectors = open_renders(run, projection), read_vectors(run, projection).where("test")
    refuse_empty_splits(run, projection, vectors, ("test",))
    lifted = lifter_landmarks.remote(run, manifest, vectors, all_methods=True)
    dataset = open_dataset(manifest.dataset)
    key = PredictorKey(run, manifest.spec, manifest.landmarks, f"{lifter_version(run, projection)} {refiner}")
    found = predict_all(f"evaluate {projection}", dataset, key, mesh_files(dataset, vectors.object_ids), vectors)
    answers = [of_one.prediction for of_one in found if of_one]
    if not answers:
        raise DataError(f"{manifest.dataset}: no mesh of the {len(found)} test objects can be read")
    chosen = answers[0].method
    numbers = read_refiner(refiner_uri(run, projection)) if chosen == REFINED else read_lifter(run, projection)
    estimates_mm = {**ray.get(lifted), **_landmarks_on_meshes(found)}
    return Evaluated(manifest, vectors, estimates_mm, found, chosen, UncertaintyModel.from_dict(numbers["uncertainty"]))


def write_report(
    parts: Sequence[Evaluated], uri: str, about: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Write per_object.csv, report.json and report.html into the folder `uri`.

    Args:
        parts: of all projections.
        uri: of the folder.
        about: `objects` of report.json, and `folds` if the report is of folds.
        earlier: points of the learning curve of the run that the training started from.
    """
    errors = {part.projection: part.errors for part in parts}
    report = {"schema": REPORT_SCHEMA, **about, **_report(parts)}
    report["learning_curve"] = curve_report(report, earlier)
    worst = [one for part in parts for one in _worst(part, errors[part.projection].by_method[part.chosen])]
    rows = chain.from_iterable(_rows(part, errors[part.projection]) for part in parts)
    storage.write_bytes(storage.join(uri, "per_object.csv"), write_rows(PER_OBJECT, rows))
    storage.write_bytes(storage.join(uri, "report.json"), json.dumps(report, indent=1).encode())
    content = page(report, parts[0].manifest.landmarks, errors, worst)
    storage.write_bytes(storage.join(uri, "report.html"), content.encode())


def _report(parts: Sequence[Evaluated]) -> dict[str, Any]:
    """Return the measured content of report.json."""
    contents = [gather_contents(part.manifest).rows for part in parts]
    leaks = {str(leak) for rows in contents for leak in find_leaks(rows)}
    dataset = open_dataset(parts[0].manifest.dataset)
    twins = near_duplicates(dataset, contents[0])
    return {
        "landmarks": list(parts[0].manifest.landmarks.names),
        "frame_mm": {part.projection: part.manifest.spec.frame_mm for part in parts},
        "detector": {part.projection: detector_report(part.vectors, part.manifest.spec.rig) for part in parts},
        "lifter": {
            part.projection: {
                **lifter_report(part.estimates_mm, part.vectors, part.chosen),
                **_answers_report(part),
            }
            for part in parts
        },
        "audit": {"leaks": sorted(leaks), "near_duplicates": twins},
        **repeats_report(repeat_distances(dataset)),
    }


def _answers_report(part: Evaluated) -> dict[str, Any]:
    """Return the parts of the report about the chosen method's answers."""
    landmarks, answers = part.manifest.landmarks, part.answers
    return {
        "uncertainty": uncertainty_report(part.uncertainty, part.chosen, answers),
        "presence": presence_report(answers),
        "landmarks": landmarks_report(part.uncertainty, landmarks, answers),
        "pairs": pairs_report(answers.errors_mm, landmarks),
    }


def _worst(part: Evaluated, errors_mm: NDArray[np.float64]) -> Iterator[WorstObject]:
    """Yield the objects with the largest errors (n, k) of the chosen method, with images of the worst landmark."""
    spec, landmarks = part.manifest.spec, part.manifest.landmarks
    for i in worst_rows(errors_mm):
        object_id, side = str(part.vectors.object_ids[i]), landmarks.sides[int(np.nanargmax(errors_mm[i]))]
        columns = ["object_id", "view", "png"]
        views = read_views(part.manifest.shard_of(object_id), object_id=object_id, columns=columns)
        pngs, cameras = {view["view"]: view["png"] for view in views}, spec.cameras(part.vectors.centre_mm[i])
        of_one, estimates_mm = part.found[i], part.estimates_mm[part.chosen][i]
        shown_mm = of_one.prediction.landmarks_mm if of_one else estimates_mm, part.vectors.landmarks_mm[i]
        images = [
            ReportImage(pngs[view], view, spec.rig.views[view].azimuth_deg, *map(cameras[view].project, shown_mm))
            for view in views_to_show(spec.rig, side)
        ]
        yield WorstObject(object_id, part.projection, landmarks, errors_mm[i], tuple(images))


def _landmarks_on_meshes(found: Sequence[MeshPrediction | None]) -> dict[str, NDArray[np.float64]]:
    """Return the landmarks (n, k, 3) in mm of the methods that use the mesh; NaN for objects without a prediction."""
    by_object = [{**of_one.prediction.estimates_mm, **of_one.fused_mm} if of_one else {} for of_one in found]
    methods = {method: estimate for estimates_mm in by_object for method, estimate in estimates_mm.items()}
    return {
        method: np.array([estimates_mm.get(method, np.full_like(any_mm, np.nan)) for estimates_mm in by_object])
        for method, any_mm in methods.items()
    }


def _rows(part: Evaluated, errors: ErrorTable) -> Iterator[dict[str, str]]:
    """Yield the rows of per_object.csv."""
    for method, found in part.estimates_mm.items():
        numbers = np.concatenate([found, errors.by_method[method][..., None]], axis=-1)
        for object_id, of_object in zip(errors.object_ids, numbers.tolist(), strict=True):
            for landmark, values in zip(part.manifest.landmarks.names, of_object, strict=True):
                cells = [object_id, part.projection, method, landmark, *(f"{value:.4f}" for value in values)]
                yield dict(zip(PER_OBJECT, cells, strict=True))
