"""DATASET + a run's models, if there are any -> which objects to label next, and why.

1. Register the typical shape to every mesh, in tasks of a few objects.
2. With a run that has models: predict all objects, as `predict` does; finished predictions are only read.
3. Choose the objects. With --review, also search for mistakes among the labels.
4. With a folder: draw the listed objects, and write suggest.html, suggest.json, config.json and, last, queue.json.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset
from featurelib.errors import UsageError
from featurelib.geometry import PROJECTIONS, apply
from featurelib.labelling.candidates import Candidates
from featurelib.labelling.expected_errors import ExpectedErrors
from featurelib.labelling.queue import FOLDER, Queue, ToLabel, write_queue
from featurelib.labelling.review import points_mm, to_review
from featurelib.labelling.suggestions import Objects, Suggestion, suggestions
from featurelib.models.lifter.files import is_trained
from featurelib.models.prediction_parts import read_predictions
from featurelib.models.predictions import PredictedObjects, predicted_objects
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from featurelib.validation.dataset.drawing import Drawing, draw
from featurelib.validation.dataset.measure import MeasureJob
from featurelib.validation.suggestion_sheet import suggestion_sheet
from jobs.predict import PredictConfig, predict
from jobs.suggest import SuggestConfig
from jobs.workers import cluster
from jobs.workers.sandbox import map_sandboxed
from jobs.workers.shapes import distances_of

logger = logging.getLogger(__name__)

MOST_OBJECTS = 4000
"""Objects among which to choose: their shapes take 10 minutes of one core, and their distances 128 MB."""

SCHEMA = 1
"""Version of suggest.json."""

MOST_DRAWN = 120
"""Objects on the page, which then has 4 MB."""


def run(config: SuggestConfig) -> None:
    """Print the suggestions, and write them if there is a folder."""
    if config.count < 1:
        raise UsageError(f"--count {config.count}: expected at least 1 object")
    candidates = Candidates.of(config.dataset, config.run)
    out = config.out or (storage.join(config.run, FOLDER) if config.run else None)
    found = predicted(config, candidates.everything, out) if candidates.ids else None
    chosen = suggest_objects(config, candidates, found)
    review = to_review(candidates.labelled, config.run) if config.review and candidates.labelled else []
    queue = Queue(tuple(ToLabel(one.object_id, one.reason) for one in chosen), tuple(review))
    values = _values(config, candidates, chosen, queue)
    print_result("\n".join([*_table(queue, config.count), _verdict(values)]), values)
    if out is None:
        logger.info("suggest: no page was written; --out DIR writes one")
    else:
        _write(config, candidates, found, queue, values, storage.absolute(out))


def suggest_objects(config: SuggestConfig, candidates: Candidates, found: PredictedObjects | None) -> list[Suggestion]:
    """Return the objects to label next.

    Args:
        config: the count, the run and the limits of the processes that read meshes.
        candidates: the objects of the dataset.
        found: the predictions of the run for them; None without a trained run.

    Raises:
        DataError: if no mesh can be read.
    """
    if not candidates.ids:
        return []
    known, distances_mm = distances_of(config.child_limits, candidates.everything, _asked(candidates))
    groups = candidates.labelled_ids, candidates.test_ids, set(candidates.ids)
    is_labelled, is_for_test, is_candidate = (np.array([i in group for i in known]) for group in groups)
    objects = Objects(known, distances_mm, is_labelled, is_for_test, is_candidate, _expected(found, known))
    return suggestions(objects, config.count)


def _asked(candidates: Candidates) -> list[str]:
    """Return the objects whose shapes count: all of them, or an even sample of those with and without labels."""
    files, labelled = candidates.everything.files, candidates.labelled_ids
    if len(files) <= MOST_OBJECTS:
        return [*files]
    logger.warning("suggest: %s objects; %s of them, evenly spread, are compared", len(files), MOST_OBJECTS)
    with_labels = _evenly([i for i in files if i in labelled], MOST_OBJECTS // 2)
    others = _evenly([i for i in files if i not in labelled], MOST_OBJECTS - len(with_labels))
    return sorted([*with_labels, *others])


def _evenly(ids: Sequence[str], most: int) -> list[str]:
    count = min(len(ids), most)
    return [ids[i * len(ids) // count] for i in range(count)]


def _trained(config: SuggestConfig) -> list[str]:
    """Return the projections of which the run has models."""
    return [p for p in PROJECTIONS if config.run and config.projection in (None, p) and is_trained(config.run, p)]


def predicted(config: SuggestConfig, dataset: Dataset, out: str | None) -> PredictedObjects | None:
    """Predict all objects, and return the predictions; None without a trained run, with a warning if one is named."""
    if not _trained(config):
        if config.run:
            logger.warning("suggest: %s has no trained models; objects are chosen by their shapes", config.run)
        return None
    folder = config.predictions or storage.join(str(out), "predictions")
    predict(
        PredictConfig(
            dataset=config.dataset,
            run=str(config.run),
            out=folder,
            projection=config.projection,
            object_timeout=config.object_timeout,
            object_memory_mb=config.object_memory_mb,
        )
    )
    return predicted_objects(read_predictions(folder), len(dataset.landmarks.names))


def _expected(found: PredictedObjects | None, ids: Sequence[str]) -> ExpectedErrors | None:
    if found is None:
        return None
    places = {object_id: i for i, object_id in enumerate(found.object_ids)}
    return ExpectedErrors.of(found).take([places[object_id] for object_id in ids])


def _values(
    config: SuggestConfig, candidates: Candidates, chosen: Sequence[Suggestion], queue: Queue
) -> dict[str, Any]:
    """Return the content of suggest.json."""
    counts = {
        "labelled": len(candidates.labelled_ids),
        "candidates": len(candidates.ids),
        "test": len(candidates.test_ids - candidates.labelled_ids),
    }
    return {
        "schema": SCHEMA,
        "dataset": candidates.everything.uri,
        "run": config.run and storage.absolute(config.run),
        "by": "expected errors" if _trained(config) else "shapes",
        "objects": counts,
        "label": [asdict(one) for one in chosen],
        "review": [asdict(one) for one in queue.review],
    }


def _table(queue: Queue, most: int) -> list[str]:
    """Return a line for each object to label, and for the first `most` labels to review."""
    ids = [*(row.object_id for row in queue.label), *(row.object_id for row in queue.review[:most])]
    width = max(map(len, ids), default=0)
    label = [f"label  {i:3}  {row.object_id:{width}}  {row.reason}" for i, row in enumerate(queue.label, 1)]
    review = [
        f"review {i:3}  {row.object_id:{width}}  {row.landmark or 'all landmarks'}: {row.kind}: {row.reason}"
        for i, row in enumerate(queue.review[:most], 1)
    ]
    return [*label, *review]


def _verdict(values: dict[str, Any]) -> str:
    """Return the last line: how many objects were suggested, and from how many."""
    counts = values["objects"]
    test = f", left out for the test split: {counts['test']}" if counts["test"] else ""
    review = f"; {len(values['review'])} labels to review" if values["review"] else ""
    return (
        f"{values['dataset']}: {len(values['label'])} of {counts['candidates']} objects without labels suggested by "
        f"{values['by']} ({counts['labelled']} labelled{test}){review}"
    )


def _write(
    config: SuggestConfig,
    candidates: Candidates,
    found: PredictedObjects | None,
    queue: Queue,
    values: dict[str, Any],
    out: str,
) -> None:
    """Write the page, the numbers, the flags and finally the queue."""
    page = suggestion_sheet(_verdict(values), queue, candidates.everything, _drawings(config, candidates, found, queue))
    files = {
        "suggest.html": page,
        "suggest.json": json.dumps(values, indent=1),
        "config.json": json.dumps(asdict(config), indent=1),
    }
    for name, text in files.items():
        storage.write_bytes(storage.join(out, name), text.encode())
    logger.info("suggest: queue in %s, pictures in %s", write_queue(out, queue), storage.join(out, "suggest.html"))


def _drawings(
    config: SuggestConfig, candidates: Candidates, found: PredictedObjects | None, queue: Queue
) -> dict[str, Drawing]:
    """Draw the first objects of the queue, with their labels or else the run's answers."""
    dataset, files = candidates.everything, candidates.everything.files
    listed = dict.fromkeys([*(row.object_id for row in queue.label), *(row.object_id for row in queue.review)])
    labels_mm = points_mm(candidates.labelled) if candidates.labelled else {}
    marks_mm = {**_answers_mm(dataset, found), **labels_mm}
    jobs = [
        MeasureJob(
            i,
            dataset.mesh_uri(files[i].name),
            dataset.object_from_source_of(files[i].rotation_wxyz),
            dataset.landmarks,
            marks_mm.get(i),
        )
        for i in [i for i in listed if i in files][:MOST_DRAWN]
    ]
    if not jobs:
        return {}
    cluster.connect()
    drawn = (drawing for _, drawing in map_sandboxed(config.child_limits, "suggest: page", draw, jobs))
    return {drawing.object_id: drawing for drawing in drawn if isinstance(drawing, Drawing)}


def _answers_mm(dataset: Dataset, found: PredictedObjects | None) -> dict[str, NDArray[np.float64]]:
    """Return the predicted landmarks (k, 3) in the object frame by object; none without predictions."""
    if found is None:
        return {}
    files = dataset.files
    return {
        i: apply(dataset.object_from_source_of(files[i].rotation_wxyz), points)
        for i, points in zip(found.object_ids, found.points, strict=True)
    }
