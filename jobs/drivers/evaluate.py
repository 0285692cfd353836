"""RUN -> RUN/report: errors of all methods and of both baselines on test objects, which took no part in training.

1. For each projection, run all methods on its test objects: those on detections alone, and those that use the mesh.
2. Check how often the chosen method's regions contain the landmark, and whether the splits share objects.
3. Write per_object.csv, report.json, report.html and, last, config.json; print the table.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import ray
from numpy.typing import NDArray

from featurelib.datasets.annotation_history import read_marks
from featurelib.datasets.csv_table import write_rows
from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.leakage import find_leaks
from featurelib.datasets.repeats import repeat_distances
from featurelib.datasets.shards import Manifest, open_renders, read_views, refuse_other_version, renders_uri
from featurelib.datasets.splits import warn_of_few_objects
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
    table,
    uncertainty_report,
    views_to_show,
    worst_rows,
)
from featurelib.evaluation.summaries import is_known
from featurelib.geometry import PROJECTIONS, SIDES
from featurelib.models.lifter.files import is_trained, lifter_version
from featurelib.models.lifter.files import read_numbers as read_lifter
from featurelib.models.lifter.vectors import Vectors, read_config, read_vectors, refuse_empty_splits, vectors_uri
from featurelib.models.predictions import REFINED
from featurelib.models.refiner.files import current_version, refiner_uri
from featurelib.models.refiner.files import read_numbers as read_refiner
from featurelib.models.uncertainty.model import UncertaintyModel
from featurelib.runtime import completion, storage
from featurelib.runtime.console import print_result
from jobs.evaluate import EvaluateConfig
from jobs.workers import cluster
from jobs.workers.inference import MeshPrediction, PredictorKey, lifter_landmarks, mesh_files, predict_all
from jobs.workers.leakage import gather_contents
from jobs.workers.near_duplicates import near_duplicates

PER_OBJECT = ("object_id", "projection", "method", "landmark", "x_mm", "y_mm", "z_mm", "error_mm")
"""The columns of per_object.csv: a row for each object, projection, method and landmark."""


def run(config: EvaluateConfig) -> None:
    """Write the report, if its inputs are new, and print its table."""
    run = storage.absolute(config.run)
    projections = [p for p in PROJECTIONS if is_trained(run, p)]
    if not projections:
        raise DataError(f"{run}: no trained lifter; run `featurelib train-lifter`")
    for projection in projections:
        refuse_other_version(renders_uri(run, projection))
    uri = storage.join(run, "report")
    config_uri = storage.join(uri, "config.json")
    refiners: dict[str, str | None] = {projection: current_version(run, projection) for projection in projections}
    made_from: dict[str, Any] = {
        p: [read_config(vectors_uri(run, p)), lifter_version(run, p), refiners[p]] for p in projections
    }
    marks = read_marks(open_renders(run, projections[0]).dataset)
    if num_repeats := sum(mark.event == "repeat" for mark in marks):
        made_from["repeats"] = num_repeats
    if not completion.is_complete(config_uri, made_from):
        completion.invalidate(config_uri)
        _write([_evaluated(run, projection, version) for projection, version in refiners.items()], uri)
        completion.mark_complete(config_uri, made_from)
    report = json.loads(storage.read_bytes(storage.join(uri, "report.json")))
    warn_of_few_objects("evaluate", report["objects"])
    print_result(f"{table(report)}\n\n{uri}/report.json\n{uri}/report.html", {"uri": uri, **report})


class Evaluated(NamedTuple):
    """One projection's predictions for n test objects: (n, k, 3) by method, the chosen method's with uncertainty.

    found: the predictor's results; None for an object without one. chosen: the method of these.
    """

    manifest: Manifest
    vectors: Vectors
    estimates_mm: Mapping[str, NDArray[np.float64]]
    found: Sequence[MeshPrediction | None]
    chosen: str
    uncertainty: UncertaintyModel

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


def _evaluated(run: str, projection: str, refiner: str | None) -> Evaluated:
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


def _write(evaluated: Sequence[Evaluated], uri: str) -> None:
    """Write per_object.csv, report.json and report.html."""
    errors = {part.projection: part.errors for part in evaluated}
    report = _report(evaluated)
    worst = [one for part in evaluated for one in _worst(part, errors[part.projection].by_method[part.chosen])]
    rows = chain.from_iterable(_rows(part, errors[part.projection]) for part in evaluated)
    storage.write_bytes(storage.join(uri, "per_object.csv"), write_rows(PER_OBJECT, rows))
    storage.write_bytes(storage.join(uri, "report.json"), json.dumps(report, indent=1).encode())
    content = page(report, evaluated[0].manifest.landmarks, errors, worst)
    storage.write_bytes(storage.join(uri, "report.html"), content.encode())


def _report(evaluated: Sequence[Evaluated]) -> dict[str, Any]:
    """Return the content of report.json."""
    contents = [gather_contents(part.manifest).rows for part in evaluated]
    leaks = {str(leak) for rows in contents for leak in find_leaks(rows)}
    dataset = open_dataset(evaluated[0].manifest.dataset)
    twins = near_duplicates(dataset, contents[0])
    return {
        "schema": REPORT_SCHEMA,
        "objects": evaluated[0].manifest.objects,
        "landmarks": list(evaluated[0].manifest.landmarks.names),
        "frame_mm": {part.projection: part.manifest.spec.frame_mm for part in evaluated},
        "detector": {part.projection: detector_report(part.vectors, part.manifest.spec.rig) for part in evaluated},
        "lifter": {
            part.projection: {
                **lifter_report(part.estimates_mm, part.vectors, part.chosen),
                **_answers_report(part),
            }
            for part in evaluated
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
