"""The curves of `suggest-curve --method refined`: whole pipelines, whose models choose the next labels."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset
from featurelib.errors import UsageError
from featurelib.geometry import Projection
from featurelib.labelling.candidates import Candidates
from jobs.drivers.suggest import predicted, suggest_objects
from jobs.drivers.training import flags_of
from jobs.experiments.drivers.excerpts import write_subset
from jobs.experiments.suggest_curve import SuggestCurveConfig
from jobs.pipeline import PipelineConfig, pipeline
from jobs.suggest import SuggestConfig
from jobs.train_detector import DetectorTraining

logger = logging.getLogger(__name__)

PROJECTION: Projection = "orthographic"


def refined_curves(config: SuggestCurveConfig, dataset: Dataset) -> Mapping[str, NDArray[np.float64]]:
    """Return the 95th percentiles of the errors in mm, (seeds, labels), by the way in which labels are chosen.

    Raises:
        UsageError: without a folder for the runs.
    """
    if config.out is None:
        raise UsageError("--method refined needs --out, a local folder for its runs")
    return {
        name: np.array([_of_seed(config, dataset, name, seed) for seed in config.seeds])
        for name in ("random", "suggest")
    }


def _of_seed(config: SuggestCurveConfig, dataset: Dataset, name: str, seed: int) -> list[float]:
    """Return the errors by number of labels; each number adds to the objects of the one before."""
    rows = {row["object_id"]: row for row in dataset.objects.to_pylist() if row["mesh"]}
    order = [str(i) for i in np.random.default_rng(seed).permutation([*rows])]
    pool, test = order[: config.pool], order[config.pool :]
    chosen, errors_mm, run = list[str](), list[float](), None
    for count in config.labels:
        random = pool[len(chosen) : count]
        chosen += random if name == "random" else _suggested(dataset, pool, chosen, run, len(random))
        folder = Path(str(config.out), f"{name}-{seed}-{count}")
        labelled = [{**rows[object_id], "split": _split(i)} for i, object_id in enumerate(chosen)]
        write_subset(
            dataset, [*labelled, *({**rows[i], "split": "test"} for i in test)], dataset.landmarks, folder / "dataset"
        )
        run = folder / "run"
        errors_mm.append(_trained_mm(config, folder / "dataset", run))
        logger.info("suggest-curve: %s, seed %s, %s labels: %.3f mm", name, seed, count, errors_mm[-1])
    return errors_mm


def _split(place: int) -> str:
    """Return the split of the labelled object at a place: every fifth is for validation."""
    return "val" if place % 5 == 4 else "train"


def _suggested(dataset: Dataset, pool: Sequence[str], chosen: Sequence[str], run: Path | None, more: int) -> list[str]:
    """Return the objects that `suggest` adds to the chosen ones, by the models of the run that has learnt these."""
    uri = str(run.parent / "dataset") if run else dataset.uri
    flags = SuggestConfig(dataset=uri, run=str(run) if run else None, count=more)
    everything, labelled = (_part(dataset, ids) for ids in (pool, chosen))
    candidates = Candidates(everything, labelled if chosen else None, frozenset())
    found = predicted(flags, everything, str(run.parent / "suggest")) if run else None
    return [one.object_id for one in suggest_objects(flags, candidates, found)]


def _part(dataset: Dataset, ids: Sequence[str]) -> Dataset:
    return replace(dataset, objects=dataset.objects.filter(pc.is_in(dataset.objects["object_id"], pa.array(ids))))


def _trained_mm(config: SuggestCurveConfig, dataset: Path, run: Path) -> float:
    """Train a pipeline and return the 95th percentile of its errors on test objects in mm."""
    pipeline(
        PipelineConfig(
            **flags_of(DetectorTraining, config),
            dataset=str(dataset),
            run=str(run),
            projections=(PROJECTION,),
            image_size=config.image_size,
            refiner_crops=config.refiner_crops,
        )
    )
    lifter = json.loads((run / "report" / "report.json").read_text())["lifter"][PROJECTION]
    return float(lifter["test"][lifter["chosen"]]["error_mm"]["p95"])
