"""`python -m jobs.experiments ablation`: the effect of each design choice, changed one at a time, over some seeds."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from featurelib.datasets.shards import Manifest, open_renders, read_receipt, read_views, write_shard
from featurelib.errors import UsageError
from featurelib.evaluation import detector_report
from featurelib.geometry import Projection, Rig
from featurelib.models.detector.files import detector_uri, read_epochs
from featurelib.models.lifter.vectors import read_vectors
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from jobs.drivers.train_detector import recipe_of, train_on_cluster
from jobs.drivers.training import flags_of
from jobs.experiments.ablation import AblationConfig
from jobs.pipeline import PipelineConfig, pipeline
from jobs.render import RenderConfig, render
from jobs.train_detector import DetectorTraining, TrainDetectorConfig
from jobs.vectorize import VectorizeConfig, vectorize
from jobs.workers import cluster

logger = logging.getLogger(__name__)

PROJECTION: Projection = "orthographic"

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "head-regression": {"head": "regression", "epochs": 22},
    "projections-perspective": {"projections": ("perspective",)},
    "no-mirror": {"mirror": False},
    "no-occluded": {"occluded": False},
    "five-views": {"rig": 5},
    "three-views": {"rig": 3},
    "refine": {"refine": True},
}
"""Flags that each row changes, by a name that is valid as a folder. 22 epochs of the regression head take about as long
as the default training."""

LEAKS: Mapping[str, Mapping[str, Any]] = {
    "leaky-split": {},
    "leaky-split-regression": VARIANTS["head-regression"],
}
"""Flags of the rows whose training and validation splits share objects."""


def run(config: AblationConfig) -> None:
    """Train each row with each seed, and print the errors."""
    if storage.is_s3(config.out):
        raise UsageError(f"--out {config.out}: expected a local folder")
    rows = config.only or (*VARIANTS, *LEAKS)
    unknown = [row for row in rows if row not in (*VARIANTS, *LEAKS)]
    if unknown:
        raise UsageError(f"--only {unknown[0]}: expected one of {', '.join((*VARIANTS, *LEAKS))}")
    found: dict[str, list[dict[str, float]]] = {row: [] for row in rows}
    for seed in config.seeds:
        for row in rows:
            logger.info("bench: %s, seed %s", row, seed)
            folder = Path(config.out, f"{row}-{seed}")
            found[row].append((_leaky if row in LEAKS else _measured)(config, row, seed, folder))
    print_rows(found)


def _measured(config: AblationConfig, row: str, seed: int, folder: Path) -> dict[str, float]:
    """Return the errors of one row and seed."""
    changes = dict(VARIANTS[row])
    if "rig" in changes:
        changes["rig"] = _write_rig(folder, changes["rig"])
    flags = _flags(config, seed, folder, changes)
    pipeline(flags)
    report = json.loads((folder / "report" / "report.json").read_text())
    (projection,) = flags.projections
    lifter = report["lifter"][projection]["test"]
    best = "refined" if flags.refine else "robust" if flags.head == "heatmap" else "triangulation"
    return {
        "2D, % of the width": report["detector"][projection]["test"]["error_pct_width"]["mean"],
        "rays or refined, mm": lifter[best]["error_mm"]["mean"],
        "its 95th percentile": lifter[best]["error_mm"]["p95"],
        "MLP, mm": lifter["mlp"]["error_mm"]["mean"],
    }


def _flags(config: AblationConfig, seed: int, folder: Path, changes: Mapping[str, Any]) -> PipelineConfig:
    plain = PipelineConfig(
        **{**flags_of(DetectorTraining, config), "seed": seed},
        dataset=config.dataset,
        run=str(folder),
        projections=(PROJECTION,),
        image_size=config.image_size,
        refine=False,
        refiner_crops=config.refiner_crops,
    )
    return replace(plain, **changes)


def _write_rig(folder: Path, count: int) -> str:
    """Write a rig of `count` evenly spaced views and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rig.json").write_text(Rig.evenly(count).to_json())
    return str(folder / "rig.json")


def _leaky(config: AblationConfig, row: str, seed: int, folder: Path) -> dict[str, float]:
    """Return the validation error of a leaky split, and the error on test objects.

    Training and validation splits share views of the same objects; the test split has whole objects and is unbiased.
    """
    flags = _flags(config, seed, folder, LEAKS[row])
    cluster.connect()
    render(RenderConfig(**flags_of(RenderConfig, flags)))
    leaky = split_by_view(open_renders(flags.run, PROJECTION), folder / "leaky", seed)
    training = TrainDetectorConfig(run=flags.run, projection=PROJECTION, **flags_of(DetectorTraining, flags))
    uri = detector_uri(flags.run, PROJECTION)
    recipe = recipe_of(training, leaky)
    if not storage.exists(storage.join(uri, "config.json")):  # train-detector rejects such a split
        train_on_cluster(training, recipe, leaky, uri, {**asdict(recipe), "leaky": True})
    vectorize(VectorizeConfig(run=flags.run, projection=PROJECTION))
    test = detector_report(read_vectors(flags.run, PROJECTION).where("test"), leaky.spec.rig)
    return {
        "validation, % of the width": min(epoch.val_error_pct for epoch in read_epochs(uri)),
        "2D, % of the width": test["test"]["error_pct_width"]["mean"],
    }


def split_by_view(manifest: Manifest, folder: Path, seed: int) -> Manifest:
    """Assign views of training and validation objects to both splits at random, and write them to new shards."""
    random = np.random.default_rng(seed)
    share = manifest.views["val"] / (manifest.views["val"] + manifest.views["train"])
    views = dict.fromkeys(manifest.views, 0)
    for name in manifest.shards:
        rows = read_views(storage.join(manifest.uri, name))
        for row in rows:
            if row["split"] != "test":
                row["split"] = "val" if random.random() < share else "train"
            views[row["split"]] += 1
        write_shard(str(folder / name), rows, read_receipt(storage.join(manifest.uri, name)), manifest.landmarks)
    return replace(manifest, uri=str(folder), views=views)


def print_rows(found: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """Print a line for each row and figure."""
    print_result(f"\n{'':28}{'':28}{'mean':>8}{'least':>8}{'largest':>9}")
    for row, of_seeds in found.items():
        for name in of_seeds[0]:
            values = [of_seed[name] for of_seed in of_seeds]
            print_result(f"{row:28}{name:28}{np.mean(values):8.2f}{min(values):8.2f}{max(values):9.2f}")
