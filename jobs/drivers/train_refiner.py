"""Meshes + RUN's first estimates -> RUN/refiner: train the networks that refine the estimates on crops.

1. Estimate the landmarks of validation objects with the run's lifter and template (jobs/workers/inference.py). The
   method with the lower median error gives the estimates that the refiner starts from.
2. Train two stages in one task (jobs/workers/refiner_training.py) on crops that its threads render meanwhile. The
   second stage is trained for the errors that the first one leaves on validation objects
   (featurelib/models/refiner/cascade.py).
3. Write stage-<i>.keras, refiner.json and, last, config.json.
"""

import logging
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import ray

from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.datasets.folds import Folds
from featurelib.datasets.shards import Manifest, open_renders
from featurelib.datasets.splits import warn_of_few_objects
from featurelib.errors import DataError, UsageError
from featurelib.models.lifter.files import lifter_version, read_template
from featurelib.models.lifter.files import read_numbers as read_lifter
from featurelib.models.lifter.vectors import Vectors, read_config, read_vectors, refuse_empty_splits, vectors_uri
from featurelib.models.refiner.estimates import FirstEstimates
from featurelib.models.refiner.files import read_numbers, refiner_uri, refiner_version
from featurelib.models.refiner.sides import refined_sides
from featurelib.models.uncertainty import quality
from featurelib.runtime import completion, storage
from featurelib.runtime.console import print_result
from jobs.train_refiner import TrainRefinerConfig
from jobs.workers import cluster
from jobs.workers.inference import (
    VALIDATION_OBJECTS,
    MeshMethods,
    lifter_landmarks,
    mesh_files,
    on_meshes,
    without_objects,
)
from jobs.workers.leakage import refuse_learnt
from jobs.workers.progress_queue import follow, open_queue
from jobs.workers.refiner_task import RefinerTask, default_crops
from jobs.workers.refiner_training import fit_refiner, training_budget
from jobs.workers.unseen import lifted_by_folds, meshed_by_folds

logger = logging.getLogger(__name__)


def run(config: TrainRefinerConfig, folds: Folds | None = None) -> None:
    """Train the refiner, if its inputs are new, and print its errors on validation objects.

    Args:
        config: the flags.
        folds: of the run, whose refiners are trained; then this one is trained on every object, and calibrated with the
            networks of the fold that has not seen the object.
    """
    manifest = open_renders(config.run, config.projection)
    vectors = read_vectors(config.run, config.projection)
    config = replace(config, dataset=storage.absolute(config.dataset or manifest.dataset))
    if config.start_from:
        config = replace(config, start_from=storage.absolute(config.start_from))
    uri = refiner_uri(config.run, config.projection)
    config_uri = storage.join(uri, "config.json")
    resolved = _resolved(config)
    if folds:
        resolved["folds"] = [refiner_version(refiner_uri(fold, config.projection)) for fold in folds.runs]
    if completion.is_complete(config_uri, resolved):
        print_result(f"{uri}: trained already; nothing to do", {"refiner": uri, "done_before": True})
        return
    _check(config)
    if config.start_from:
        _refuse_other_start(config, manifest)
    if folds is None:
        refuse_empty_splits(config.run, config.projection, vectors, ("train", "val"))
    if manifest.splits is None and folds is None:
        warn_of_few_objects(f"train-refiner {config.projection}", vectors.num_objects)
    completion.invalidate(config_uri)
    cluster.connect()
    validation_mm = _train(config, manifest, vectors, uri, folds)
    completion.mark_complete(config_uri, resolved)
    scores = ", ".join(f"{method} {error_mm:.2f} mm" for method, error_mm in validation_mm.items())
    print_result(f"{uri}: trained; on validation objects {scores}", {"refiner": uri, "validation_mm": validation_mm})


def _resolved(config: TrainRefinerConfig) -> dict[str, Any]:
    what = {name: value for name, value in asdict(config).items() if name not in ("run", "cpus")}
    vectors = read_config(vectors_uri(config.run, config.projection))
    networks = config.reuse_networks and refiner_version(refiner_uri(config.run, config.reuse_networks))
    return {
        **what,
        "vectors": vectors,
        "lifter": lifter_version(config.run, config.projection),
        "networks": networks,
    }


def _check(config: TrainRefinerConfig) -> None:
    if config.reuse_networks == config.projection:
        raise UsageError(f"--reuse-networks {config.reuse_networks}: expected another projection than --projection")
    if config.batch_size < 2:
        raise UsageError(f"--batch-size {config.batch_size}: expected at least 2")
    if config.num_crops is not None and config.num_crops < 2 * config.batch_size:
        raise UsageError(f"--num-crops {config.num_crops}: expected at least two batches of {config.batch_size}")


def _refuse_other_start(config: TrainRefinerConfig, manifest: Manifest) -> None:
    """Raise an error if the training cannot start from the networks of the run `start_from`.

    Raises:
        UsageError: if it is the same run, or networks are reused.
        DataError: if it has no refiner, one of another landmark set, or one that knows a held-out object.
    """
    start = str(config.start_from)
    if start == storage.absolute(config.run) or config.reuse_networks:
        raise UsageError(f"--start-from {start}: expected another run than --run, and no --reuse-networks")
    uri = refiner_uri(start, config.projection)
    if read_numbers(uri)["landmarks_hash"] != manifest.landmarks.hash:
        raise DataError(f"{uri}: trained on another landmark set; train without --start-from")
    refuse_learnt(manifest, start)


def first_estimates(
    config: TrainRefinerConfig, manifest: Manifest, vectors: Vectors, dataset: Dataset, folds: Folds | None
) -> FirstEstimates:
    """Return the estimates of the lifter's chosen method and of the template on validation objects.

    With folds, an object's estimates are those of the fold that has not seen it.

    Raises:
        DataError: if no mesh of a validation object can be read.
    """
    validation = vectors.where("val")
    validation = validation.take(validation.evenly(VALIDATION_OBJECTS))
    meshes, task = mesh_files(dataset, validation.object_ids), f"train-refiner {config.projection}"
    if folds:
        chosen = read_lifter(config.run, config.projection)["chosen"]
        lifted = lifted_by_folds(folds, manifest, validation, [chosen])
        meshed = meshed_by_folds(task, folds, manifest, dataset, validation, fuses=False)
    else:
        coming = lifter_landmarks.remote(config.run, manifest, validation, all_methods=False)
        methods = MeshMethods(read_template(config.run, config.projection), manifest.spec, manifest.landmarks, {})
        meshed = on_meshes(task, dataset, methods, meshes, validation)
        lifted = ray.get(coming)
    readable = np.array([found is not None for found in meshed])
    if not readable.any():
        raise DataError(
            f"{dataset.uri}: none of the meshes of {len(readable)} validation objects can be read; "
            "run `featurelib validate`"
        )
    none = np.full_like(validation.landmarks_mm[0], np.nan)
    estimates_mm = {"template": np.array([found.located.landmarks_mm if found else none for found in meshed])}
    scores = tuple(
        {**quality.shape_scores(found.located), **quality.detector_scores(visible)} if found else {}
        for found, visible in zip(meshed, validation.visible, strict=True)
    )
    sides, truths = refined_sides(manifest.landmarks), (validation.landmarks_mm, validation.absent)
    of_folds = (
        [refiner_uri(folds.runs[i], config.projection) for i in folds.numbers(validation.object_ids)] if folds else []
    )
    estimates = FirstEstimates(sides, tuple(meshes), *truths, {**estimates_mm, **lifted}, scores, tuple(of_folds))
    return estimates.where(readable).with_start()


def _train(
    config: TrainRefinerConfig, manifest: Manifest, vectors: Vectors, uri: str, folds: Folds | None
) -> dict[str, float]:
    """Train on the cluster, write the refiner's folder and return the mean error on validation objects by method."""
    dataset = open_dataset(str(config.dataset))
    training = vectors.where("train")
    estimates = first_estimates(config, manifest, vectors, dataset, folds)
    template = read_template(config.run, config.projection)
    crop_size = estimates.crop_size(float(np.linalg.norm(np.ptp(template.points_mm, axis=0))))
    how = f"networks of {config.reuse_networks}" if config.reuse_networks else f"crops of {crop_size.width_mm:.0f} mm"
    name, queue, budget = f"train-refiner {config.projection}", open_queue(), training_budget(config.cpus)
    logger.info("%s: refines the estimates of %s, %s", name, estimates.start, how)
    task = RefinerTask(
        name=name,
        uri=uri,
        landmarks=manifest.landmarks,
        mean_mm=template.landmarks_mm,
        dataset=without_objects(dataset),
        meshes=tuple(mesh_files(dataset, training.object_ids)),
        landmarks_mm=training.landmarks_mm,
        absent=training.absent,
        estimates=estimates,
        crop_size=crop_size,
        num_crops=config.num_crops or default_crops(manifest.landmarks, is_continued=config.start_from is not None),
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        seed=config.seed,
        threads=budget.threads,
        queue=queue,
        start_uri=config.start_from and refiner_uri(config.start_from, config.projection),
        networks_uri=config.reuse_networks and refiner_uri(config.run, config.reuse_networks),
    )
    validation_mm: dict[str, float] = follow(fit_refiner.options(num_cpus=budget.cpus).remote(task), queue)
    return validation_mm
