"""`python -m jobs.experiments suggest-curve`: errors over the number of labels, chosen by `suggest` or at random.

`template`: a mean shape is registered to every object, as the baseline `template` does. The offset of an object's
labels from it, in the axes and the size of the mean shape, is what a label tells. `mean` predicts the mean offset of
the chosen objects, as the template built from them does. `nearest` predicts that of the most similar ones, and
`regression` a ridge regression of the offsets on the shapes. No prediction is snapped to the surface.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.errors import DataError
from featurelib.labelling.choice import choose
from featurelib.labelling.review import points_mm
from featurelib.meshes import read_mesh
from featurelib.meshes.template import Template, build_template, chosen_shapes, locate
from featurelib.runtime.console import print_result
from featurelib.runtime.sandbox import ProcessLostError, SandboxLimits
from jobs.experiments.suggest_curve import SuggestCurveConfig
from jobs.workers.sandbox import map_sandboxed
from jobs.workers.shapes import distances_of

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Rule = Callable[[Floats, int, np.random.Generator], list[int]]

NEAREST = 3
"""Labelled objects whose mean offset `nearest` predicts; a single one is worse for every choice."""

TEMPLATE_SHAPES = 15
"""Objects of the mean shape that is registered to all."""

RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Ridge parameters, in units of the mean variance; the one with the least leave-one-out error is used."""


class Offsets(NamedTuple):
    """Of n objects: the offsets (n, k, 3) of their labels from the registered mean shape, and its scales (n,)."""

    offsets_mm: Floats
    scales: Floats


@dataclass(frozen=True, eq=False)
class OffsetJob:
    """An object whose labels are compared with the registered mean shape.

    object_from_source: (4, 4). landmarks_mm: (k, 3) labels in the object frame.
    """

    mesh_uri: str
    object_from_source: Floats
    landmarks_mm: Floats
    template: Template


def run(config: SuggestCurveConfig) -> None:
    """Measure the curves and print them."""
    dataset = open_dataset(config.dataset)
    refuse_small(config, dataset)
    if config.method == "refined":
        from jobs.experiments.drivers.suggest_curve_refined import refined_curves

        print_curves("refined", refined_curves(config, dataset), config.labels)
        return
    labels_mm = points_mm(dataset)
    ids, distances_mm = distances_of(SandboxLimits(), dataset, [*dataset.files])
    offsets = offsets_of(dataset, ids, labels_mm)
    for name, predict in PREDICTORS.items():
        print_curves(name, curves(config, distances_mm, offsets, predict), config.labels)


def refuse_small(config: SuggestCurveConfig, dataset: Dataset) -> None:
    """Raise DataError if the dataset has too few objects for the pool, or the pool for the labels."""
    count = len(dataset.files)
    if not max(config.labels) <= config.pool < count:
        raise DataError(
            f"{dataset.uri}: --pool {config.pool} of {count} objects; expected at least --labels {max(config.labels)} "
            "and fewer than all"
        )


def offsets_of(dataset: Dataset, ids: Sequence[str], labels_mm: Mapping[str, Floats]) -> Offsets:
    """Return the offsets of objects with labels (k, 3) in the object frame."""
    files = dataset.files
    complete = np.array([np.isfinite(labels_mm[i]).all(axis=1) for i in ids])
    sample = chosen_shapes(complete)
    shapes = []
    for i in (ids[index] for index in sample[:: max(1, len(sample) // TEMPLATE_SHAPES)]):
        mesh = dataset.load(files[i])
        shapes.append((mesh.vertices_mm, mesh.faces, labels_mm[i]))
    template = build_template(shapes, names=dataset.landmarks.names)
    jobs = [
        OffsetJob(
            dataset.mesh_uri(files[i].name),
            dataset.object_from_source_of(files[i].rotation_wxyz),
            labels_mm[i],
            template,
        )
        for i in ids
    ]
    rows = map_sandboxed(SandboxLimits(), "suggest-curve: mean shape", offset_of, jobs)
    lost = np.full((len(dataset.landmarks.names), 3), np.nan), 1.0
    offsets, scales = zip(*(lost if isinstance(row, ProcessLostError) else row for _, row in rows), strict=True)
    return Offsets(np.array(offsets), np.array(scales))


def offset_of(job: OffsetJob) -> tuple[Floats, float]:
    """Return the offsets (k, 3) of an object's labels in the axes and the size of the mean shape, and its scale."""
    mesh = read_mesh(job.mesh_uri, job.object_from_source)
    located = locate(job.template, mesh.vertices_mm, mesh.faces)
    whole = located.whole
    return (job.landmarks_mm - located.unsnapped_mm) @ whole.rotation / whole.scale, whole.scale


def curves(config: SuggestCurveConfig, distances_mm: Floats, offsets: Offsets, predict: "Predictor") -> Mapping:
    """Return the 95th percentiles of the errors in mm, (seeds, labels), by the rule that chooses the labels."""
    return {
        name: np.array([_of_seed(config, distances_mm, offsets, predict, name, seed) for seed in config.seeds])
        for name in RULES
    }


def _of_seed(
    config: SuggestCurveConfig, distances_mm: Floats, offsets: Offsets, predict: "Predictor", name: str, seed: int
) -> Floats:
    """Return the 95th percentiles (labels,) of a seed; of a random rule, the mean over its repeats."""
    order = np.random.default_rng(seed).permutation(len(distances_mm))
    pool, test = np.sort(order[: config.pool]), order[config.pool :]
    repeats = range(config.repeats if name == "random" else 1)
    found = []
    for repeat in repeats:
        rng = np.random.default_rng([seed, repeat])
        chosen = pool[RULES[name](distances_mm[np.ix_(pool, pool)], max(config.labels), rng)]
        found.append([_p95_mm(predict, distances_mm, offsets, chosen[:count], test) for count in config.labels])
    return np.mean(found, axis=0)


def _p95_mm(predict: "Predictor", distances_mm: Floats, offsets: Offsets, chosen: NDArray, test: NDArray) -> float:
    apart = predict(distances_mm, offsets.offsets_mm[chosen], chosen, test) - offsets.offsets_mm[test]
    return float(np.nanpercentile(np.linalg.norm(apart, axis=-1) * offsets.scales[test][:, None], 95))


def suggested(distances_mm: Floats, count: int, rng: np.random.Generator) -> list[int]:
    """Return the choice of `suggest` without a model."""
    every = np.ones(len(distances_mm), dtype=bool)
    return choose(distances_mm, np.ones(len(every)), ~every, every, count)


def farthest_first(distances_mm: Floats, count: int, rng: np.random.Generator) -> list[int]:
    """Return the most central object, and then each time the one that is farthest from all chosen ones.

    No object is then farther from the chosen ones than twice the least possible (Gonzalez, Clustering to Minimize the
    Maximum Intercluster Distance, Theoretical Computer Science 38, 1985).
    """
    chosen = [int(distances_mm.sum(axis=1).argmin())]
    while len(chosen) < min(count, len(distances_mm)):
        chosen.append(int(distances_mm[chosen].min(axis=0).argmax()))
    return chosen


def random_choice(distances_mm: Floats, count: int, rng: np.random.Generator) -> list[int]:
    """Return objects at random."""
    return [int(i) for i in rng.permutation(len(distances_mm))[:count]]


RULES: Mapping[str, Rule] = {"random": random_choice, "suggest": suggested, "farthest": farthest_first}

Predictor = Callable[[Floats, Floats, NDArray, NDArray], Floats]
"""From all distances (n, n), the offsets (c, k, 3) of the chosen objects, their indices and those of t test objects to
the offsets (t, k, 3) of these."""


def mean_offset(distances_mm: Floats, offsets_mm: Floats, chosen: NDArray, test: NDArray) -> Floats:
    """Return the mean offset for every object."""
    return np.broadcast_to(np.nanmean(offsets_mm, axis=0), (len(test), *offsets_mm.shape[1:]))


def nearest_offset(distances_mm: Floats, offsets_mm: Floats, chosen: NDArray, test: NDArray) -> Floats:
    """Return the mean offset of the NEAREST most similar objects."""
    nearest = np.argsort(distances_mm[np.ix_(test, chosen)], axis=1, kind="stable")[:, :NEAREST]
    return np.asarray(np.nanmean(offsets_mm[nearest], axis=1))


def regression_offset(distances_mm: Floats, offsets_mm: Floats, chosen: NDArray, test: NDArray) -> Floats:
    """Return the ridge regression of the offsets on the shapes, by the inner products that distances give."""
    squares, mean = distances_mm[:, chosen] ** 2, offsets_mm.mean(axis=0)
    centred = squares - squares.mean(axis=1, keepdims=True) - squares[chosen].mean(axis=0) + squares[chosen].mean()
    products, flat = -centred[chosen] / 2, (offsets_mm - mean).reshape(len(chosen), -1)
    unit = np.trace(products) / len(chosen)

    def error(ridge: float) -> float:
        hat = products @ np.linalg.inv(products + ridge * unit * np.eye(len(chosen)))
        return float((((flat - hat @ flat) / (1 - np.diagonal(hat) - 1 / len(chosen))[:, None]) ** 2).sum())

    ridge = min(RIDGES, key=error) * unit
    weights = np.linalg.solve(products + ridge * np.eye(len(chosen)), flat)
    return np.asarray((-centred[test] / 2 @ weights).reshape(len(test), *mean.shape) + mean)


PREDICTORS: Mapping[str, Predictor] = {
    "mean": mean_offset,
    "nearest": nearest_offset,
    "regression": regression_offset,
}


def print_curves(method: str, found: Mapping[str, Floats], labels: Sequence[int]) -> None:
    """Print a line for each number of labels: the errors by rule, and their ratios to the random choice."""
    others = [name for name in found if name != "random"]
    print_result(
        f"\n{method}: 95th percentile of the errors of test objects, mm; ratio to random (least, largest seed)"
    )
    print_result(f"{'labels':>6}" + "".join(f"{name:>10}" for name in found) + "".join(f"{n:>24}" for n in others))
    ratios = {name: found[name] / found["random"] for name in others}
    for column, count in enumerate(labels):
        cells = "".join(f"{values[:, column].mean():10.2f}" for values in found.values())
        print_result(f"{count:6}{cells}" + "".join(f"{_spread(ratios[name][:, column]):>24}" for name in others))
    print_result(
        f"{'all':>6}{'':{10 * len(found)}}" + "".join(f"{_spread(r.mean(axis=1)):>24}" for r in ratios.values())
    )


def _spread(values: Floats) -> str:
    return f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"
