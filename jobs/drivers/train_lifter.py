"""RUN/vectors -> RUN/lifter: train the lifter, from image positions to all landmarks in millimetres.

1. Train the MLP on training objects, with the detector's errors on validation objects as noise.
2. Build the baselines: the mean point and the mean shape (template).
3. Evaluate all methods on validation objects, including those that use the mesh. Choose the best method that needs no
   mesh, since the lifter gives a first estimate only, and fit the uncertainty of its landmarks.
4. Write model.keras, template.npz, lifter.json and, last, config.json.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.folds import Folds
from featurelib.datasets.shards import Manifest, open_renders
from featurelib.datasets.splits import warn_of_few_objects
from featurelib.errors import DataError
from featurelib.geometry import canonical
from featurelib.geometry.landmark_set import difference
from featurelib.meshes.template import Template, build_template, chosen_shapes
from featurelib.models.fusion import ViewNoise
from featurelib.models.lifter.files import lifter_uri, lifter_version
from featurelib.models.lifter.fusing import landmark_noise
from featurelib.models.lifter.model import Lifter
from featurelib.models.lifter.vectors import Vectors, read_config, read_vectors, refuse_empty_splits, vectors_uri
from featurelib.models.uncertainty import quality
from featurelib.models.uncertainty.model import UncertaintyModel, fit_uncertainty
from featurelib.runtime import completion, storage
from featurelib.runtime.console import print_result
from jobs.train_lifter import TrainLifterConfig
from jobs.workers import cluster
from jobs.workers.inference import VALIDATION_OBJECTS, MeshMethods, OnMesh, mesh_files, on_meshes
from jobs.workers.unseen import lifted_by_folds, meshed_by_folds


def run(config: TrainLifterConfig, folds: Folds | None = None) -> None:
    """Train the lifter, if its vectors are new, and print its errors on validation objects.

    Args:
        config: the flags.
        folds: of the run, whose lifters are trained; then this one is trained on every object, and its errors are those
            of the fold that has not seen the object.
    """
    manifest = open_renders(config.run, config.projection)
    vectors = read_vectors(config.run, config.projection)
    _refuse_other_vectors(manifest, vectors, vectors_uri(config.run, config.projection))
    uri = lifter_uri(config.run, config.projection)
    config_uri = storage.join(uri, "config.json")
    made_from = {"seed": config.seed, **read_config(vectors_uri(config.run, config.projection))}
    if folds:
        made_from["folds"] = [lifter_version(fold, config.projection) for fold in folds.runs]
    if completion.is_complete(config_uri, made_from):
        print_result(f"{uri}: trained already; nothing to do", {"lifter": uri, "done_before": True})
        return
    if folds is None:
        refuse_empty_splits(config.run, config.projection, vectors, ("train", "val"))
    if manifest.splits is None and folds is None:
        warn_of_few_objects(f"train-lifter {config.projection}", vectors.num_objects)
    _refuse_unlabelled(vectors, vectors_uri(config.run, config.projection))
    completion.invalidate(config_uri)
    cluster.connect()
    numbers = _train(config, manifest, vectors, uri, folds)
    storage.write_bytes(storage.join(uri, "lifter.json"), json.dumps(numbers, indent=1).encode())
    completion.mark_complete(config_uri, made_from)
    scores = ", ".join(f"{method} {error_mm:.2f} mm" for method, error_mm in numbers["validation_mm"].items())
    print_result(
        f"{uri}: trained; on validation objects {scores}; chosen: {numbers['chosen']}",
        {"lifter": uri, "validation_mm": numbers["validation_mm"], "chosen": numbers["chosen"]},
    )


def _refuse_other_vectors(manifest: Manifest, vectors: Vectors, uri: str) -> None:
    """Raise DataError if the vectors are those of another landmark set than the renders."""
    if vectors.landmarks.hash != manifest.landmarks.hash:
        raise DataError(
            f"{uri}: of another landmark set than {manifest.uri}, {difference(vectors.landmarks, manifest.landmarks)}; "
            "run `featurelib vectorize`"
        )


def _refuse_unlabelled(vectors: Vectors, uri: str) -> None:
    """Raise DataError if no training object has a landmark, or no validation object has any."""
    training_mm, validation_mm = (vectors.where(split).landmarks_mm for split in ("train", "val"))
    for k in np.flatnonzero(np.isnan(training_mm).any(axis=2).all(axis=0)).tolist():
        raise DataError(
            f"{uri}: landmark {vectors.landmarks.names[k]!r} is labelled on none of {len(training_mm)} training "
            "objects; label it on some, or remove it from the set"
        )
    if np.isnan(validation_mm).any(axis=2).all():
        raise DataError(f"{uri}: no validation object has a labelled landmark; label some, or set `split`")


def _train(
    config: TrainLifterConfig, manifest: Manifest, vectors: Vectors, uri: str, folds: Folds | None
) -> dict[str, Any]:
    """Train, write the network and the template, and return the numbers of lifter.json."""
    dataset, validation = open_dataset(manifest.dataset), vectors.where("val")
    view_noise = _view_noise(validation, manifest)
    fitted = fit.remote(config, manifest, vectors, view_noise, uri)
    template: Template = ray.get(build.remote(manifest, vectors.where("train")))
    storage.write_bytes(storage.join(uri, "template.npz"), template.to_bytes())
    asked, task = validation.evenly(VALIDATION_OBJECTS), f"train-lifter {config.projection}"
    sample = validation.take(asked)
    numbers, estimates_mm = ray.get(fitted)
    if folds:
        meshed = meshed_by_folds(task, folds, manifest, dataset, sample)
        estimates_mm = lifted_by_folds(folds, manifest, validation, list(estimates_mm))
    else:
        methods = MeshMethods(template, manifest.spec, manifest.landmarks, view_noise)
        meshed = on_meshes(task, dataset, methods, mesh_files(dataset, sample.object_ids), sample)
    labelled = np.isfinite(validation.landmarks_mm).all(axis=2)
    errors_mm = {m: (found - validation.landmarks_mm)[labelled] for m, found in estimates_mm.items()}  # (labels, 3)
    answering = {method: errors for method, errors in errors_mm.items() if np.isfinite(errors).all()}
    means_mm = {method: _mean_mm(errors) for method, errors in answering.items()}
    chosen = min(means_mm, key=lambda method: means_mm[method])
    sigma_mm = {method: float(np.sqrt(np.mean(errors**2))) for method, errors in answering.items()}
    numbers |= {
        **({"folds": folds.count} if folds else {}),
        **manifest.landmarks.to_record(),
        "chosen": chosen,
        "validation_mm": means_mm | _means_on_mesh_mm(meshed, sample),
        "sigma_mm": sigma_mm,
        "view_noise": {str(int(key)): [each.to_dict() for each in noise] for key, noise in view_noise.items()},
        "uncertainty": _uncertainty(estimates_mm[chosen][asked], sigma_mm[chosen], meshed, sample).to_dict(),
    }
    return numbers


def _uncertainty(
    estimates_mm: NDArray[np.float64], sigma_mm: float, meshed: Sequence[OnMesh | None], validation: Vectors
) -> UncertaintyModel:
    """Return the uncertainty of a method's landmarks (n, k, 3), which have one standard deviation in common."""
    known = [i for i, found in enumerate(meshed) if found is not None]
    if not known:
        raise DataError(
            f"train-lifter: none of the meshes of {len(meshed)} validation objects can be read; "
            "run `featurelib validate`"
        )
    scores = [
        {
            **quality.shape_scores(found.located),
            **quality.detector_scores(validation.visible[i]),
            **quality.disagreement_scores(estimates_mm[i], found.located.landmarks_mm),
        }
        for i, found in enumerate(meshed)
        if found is not None
    ]
    residuals_mm = estimates_mm[known] - validation.landmarks_mm[known]
    covariance_mm2 = np.broadcast_to(np.eye(3) * sigma_mm**2, (*residuals_mm.shape, 3))
    return fit_uncertainty(residuals_mm, covariance_mm2, scores, canonical(validation.landmarks).channel)


def _means_on_mesh_mm(meshed: Sequence[OnMesh | None], validation: Vectors) -> dict[str, float]:
    """Return the mean error of the methods that use the mesh, over the objects with a readable mesh.

    A method without an answer for a labelled landmark is left out.
    """
    known = [i for i, found in enumerate(meshed) if found is not None]
    answers = [{"template": found.located.landmarks_mm, **found.estimates_mm} for found in meshed if found is not None]
    truths_mm = validation.landmarks_mm[known]
    labelled = np.isfinite(truths_mm).all(axis=2)
    errors_mm = {
        method: (np.array([answer[method] for answer in answers]) - truths_mm)[labelled]
        for method in (answers[0] if answers else ())
    }
    return {method: _mean_mm(errors) for method, errors in errors_mm.items() if np.isfinite(errors).all()}


def _mean_mm(errors_mm: NDArray[np.float64]) -> float:
    """Return the mean length of errors (m, 3)."""
    return float(np.linalg.norm(errors_mm, axis=-1).mean())


@ray.remote(num_cpus=1)
def build(manifest: Manifest, training: Vectors) -> Template:
    """Return the mean shape of some training objects, evenly spread over their ids."""
    dataset = open_dataset(manifest.dataset)
    chosen = training.take(chosen_shapes(np.isfinite(training.landmarks_mm).all(axis=2)))
    meshes = [dataset.load(name) for name in mesh_files(dataset, chosen.object_ids)]
    shapes = [(mesh.vertices_mm, mesh.faces, labels) for mesh, labels in zip(meshes, chosen.landmarks_mm, strict=True)]
    return build_template(shapes, names=training.landmarks.names)


@ray.remote(num_cpus=1)
def fit(
    config: TrainLifterConfig,
    manifest: Manifest,
    vectors: Vectors,
    view_noise: Mapping[bool, Sequence[ViewNoise]],
    uri: str,
) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    """Train the MLP and write it.

    Returns:
        numbers for lifter.json, and the landmarks (n, k, 3) of validation objects by each method without a mesh.
    """
    from featurelib.models.export import export_network
    from featurelib.models.lifter.network import fit_lifter, mean_positions, residual_noise

    training, validation = vectors.where("train"), vectors.where("val")
    model, standardiser = fit_lifter(training, validation, config.seed)
    network = export_network(model)
    network.write(storage.join(uri, "model"))
    mean_mm, mean_xy = standardiser.mean_mm.reshape(-1, 3), mean_positions(training)
    lifter = Lifter(manifest.spec, manifest.landmarks, "mlp", network, mean_mm, mean_xy, view_noise=view_noise)
    numbers = {
        "mean_mm": mean_mm.tolist(),
        "mean_xy": mean_xy.tolist(),
        "standardiser": {"mean_mm": standardiser.mean_mm.tolist(), "std_mm": standardiser.std_mm.tolist()},
        "noise_xy": residual_noise(validation).tolist(),
    }
    return numbers, {method: lifter.estimates_mm(validation, method) for method in lifter.methods}


def _view_noise(validation: Vectors, manifest: Manifest) -> dict[bool, list[ViewNoise]]:
    """Return the noise of each landmark, for its own views and for all; {} if the detector finds only near ones."""
    if np.isnan(validation.landmarks_xy).any():
        return {}
    return {all_views: landmark_noise(validation, manifest.spec, all_views=all_views) for all_views in (False, True)}
