"""RUN/vectors -> RUN/lifter: from positions in the views to both landmarks in millimetres.

1. Train the MLP on training objects, with noise of the size of the detector's errors on validation objects.
2. Build the baselines: the mean point and the mean shape (template).
3. Choose the best of the MLP, triangulation and the fusions on validation objects.
4. Write model.keras, template.npz, lifter.json and, last, config.json.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import ray

from featurelib import cli, stages, storage
from featurelib.dataset import Dataset, open_dataset
from featurelib.errors import DataError
from featurelib.fusion import ViewNoise
from featurelib.geometry import SIDES, Projection
from featurelib.lifter.fusing import side_noise
from featurelib.lifter.vectors import Vectors, read_config, read_vectors, vectors_uri
from featurelib.shards import Manifest, open_renders
from featurelib.template import Template, build_template
from jobs import cluster

TEMPLATE_SHAPES = 30
"""Training objects that the mean shape is made of; more change it little."""


@cli.config
@dataclass(frozen=True, kw_only=True)
class TrainLifterConfig:
    """How to train a lifter.

    Attributes:
        run: Folder or s3:// URI of the run.
        projection: Which vectors to train on.
        seed: Of the weights, the noise and the order of the samples.
    """

    run: str
    projection: Projection = "orthographic"
    seed: int = 0


def train_lifter(config: TrainLifterConfig) -> None:
    """Train the second stage: positions in the views to millimetres.

    Example: featurelib train-lifter --run runs/heads --projection orthographic
    """
    manifest = open_renders(config.run, config.projection)
    vectors = read_vectors(config.run, config.projection)
    uri = storage.join(storage.absolute(config.run), "lifter", config.projection)
    config_uri = storage.join(uri, "config.json")
    made_from = {"seed": config.seed, **read_config(vectors_uri(config.run, config.projection))}
    if stages.is_done(config_uri, made_from):
        print(f"{uri}: trained already; nothing to do")
        return
    for split in ("train", "val"):
        if not len(vectors.where(split)):
            raise DataError(f"{vectors_uri(config.run, config.projection)}: no objects in the {split} split")
    stages.mark_begun(config_uri)
    cluster.connect()
    template = build.remote(manifest, vectors.where("train"))
    numbers = ray.get(train.remote(config, manifest, vectors, template, uri))
    stages.mark_done(config_uri, made_from)
    scores = ", ".join(f"{method} {error_mm:.2f} mm" for method, error_mm in numbers["validation_mm"].items())
    print(f"{uri}: trained; on validation objects {scores}; chosen: {numbers['chosen']}")


@ray.remote(num_cpus=1)
def build(manifest: Manifest, training: Vectors) -> Template:
    """Return the mean shape of a sample of the training objects, evenly spread over their ids."""
    dataset = open_dataset(manifest.dataset)
    every = max(1, len(training) // TEMPLATE_SHAPES)
    chosen = training.object_ids[::every][:TEMPLATE_SHAPES]
    pairs = training.pair_mm[::every][:TEMPLATE_SHAPES]
    meshes = [dataset.load(name) for name in mesh_names(dataset, chosen)]
    return build_template([(mesh.vertices_mm, mesh.faces, pair) for mesh, pair in zip(meshes, pairs, strict=True)])


def mesh_names(dataset: Dataset, object_ids: np.ndarray) -> list[str]:
    """Return the mesh file names of objects, in their order."""
    names = dict(zip(dataset.objects["object_id"].to_pylist(), dataset.objects["mesh"].to_pylist(), strict=True))
    return [names[object_id] for object_id in object_ids]


@ray.remote(num_cpus=1)
def train(
    config: TrainLifterConfig, manifest: Manifest, vectors: Vectors, template: Template, uri: str
) -> dict[str, Any]:
    """Train the MLP, choose the method, write the folder and return the numbers of lifter.json."""
    from featurelib.lifter.model import Lifter, save_lifter
    from featurelib.lifter.network import fit_lifter

    training, validation = vectors.where("train"), vectors.where("val")
    model, standardiser, noise = fit_lifter(training, validation, config.seed)
    mean_mm = training.target_mm.mean(0)
    view_noise = _view_noise(validation, manifest)
    lifter = Lifter(manifest.spec, "mlp", model, mean_mm, template, view_noise=view_noise)
    errors_mm = {
        method: lifter.pairs(validation, method) - validation.pair_mm for method in lifter.methods
    }  # (n, 2, 3)
    answering = {method: errors for method, errors in errors_mm.items() if np.isfinite(errors).all()}
    means_mm = {method: float(np.linalg.norm(errors, axis=-1).mean()) for method, errors in answering.items()}
    numbers = {
        "chosen": min(means_mm, key=lambda method: means_mm[method]),
        "validation_mm": means_mm,
        "sigma_mm": {method: float(np.sqrt(np.mean(errors**2))) for method, errors in answering.items()},
        "mean_mm": mean_mm.tolist(),
        "standardiser": {"mean_mm": standardiser.mean_mm.tolist(), "std_mm": standardiser.std_mm.tolist()},
        "noise_xy": noise.tolist(),
        "view_noise": {str(int(key)): [n.to_dict() for n in of_sides] for key, of_sides in view_noise.items()},
    }
    save_lifter(uri, model, numbers, template)
    return numbers


def _view_noise(validation: Vectors, manifest: Manifest) -> dict[bool, list[ViewNoise]]:
    """Return how well each view shows each instance, from its own views and from all; {} if the sides are not told."""
    if np.isnan(validation.pair_xy).any():
        return {}
    return {
        all_views: [side_noise(validation, manifest.spec, side, all_views=all_views) for side in SIDES]
        for all_views in (False, True)
    }


if __name__ == "__main__":
    cli.run(cli.single_command(train_lifter, "train_lifter"))
