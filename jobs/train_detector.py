"""RUN/renders -> RUN/detector: train the network that finds the landmarks in one image."""

import os
from dataclasses import dataclass
from typing import Literal

from featurelib.geometry import Projection
from featurelib.runtime import cli


@cli.config
@dataclass(frozen=True, kw_only=True)
class DetectorTraining:
    """How to train a detector.

    Attributes:
        head: Output of the network: heatmap (one map for each landmark) or regression (the position of each pair's near
            landmark, and of each other landmark).
        start_from: Earlier run on the same landmarks, whose networks the training starts from. It then takes a quarter
            of the epochs and crops.
        weights: Initial weights of the backbone: imagenet (downloaded by Keras), none, or the path of an .h5 or .npz
            without top.
        alpha: Width of MobileNetV2: 0.35, 0.5, 0.75, 1.0, 1.3 or 1.4.
        input_size: Width and height of the network's image, in pixels; a multiple of 32.
        workers: Number of processes that share each step.
        cpus_per_worker: CPU threads of each worker's step; default: all CPUs but one, shared by the workers.
        gpu: Use one GPU per worker.
        precision: Precision of the step: float32, bfloat16 (mixed), or auto (bfloat16 on GPUs that support it).
        max_restarts: Maximum number of restarts from the last checkpoint after the loss of a worker or node.
        epochs: Maximum number of epochs of both phases together; default for heatmap: 8 (up to 40 on few objects), for
            regression: 60.
        frozen_epochs: Epochs of a first phase that trains only the head; default for heatmap: 0, for regression: 15.
        batch_size: Samples per step, over all workers; the result does not depend on the number of workers.
        head_learning_rate: Learning rate (Adam) of the first phase; default: 1e-3.
        finetune_learning_rate: Learning rate (Adam) of the second phase; default for heatmap: 2e-3, for regression:
            1e-4.
        patience: Epochs without a lower validation error after which training stops.
        mirror: Train on each image and, if the dataset's `mirror` allows it, its mirror image; otherwise on each image
            twice.
        occluded: Also train on pairs in views in which their near landmark is occluded, and on other occluded
            landmarks.
        shuffle_buffer: Number of samples mixed in memory; the order of the shards is random too.
        seed: Seed of the weights, the dropout and the order of the samples.
    """

    start_from: str | None = None
    head: Literal["heatmap", "regression"] = "heatmap"
    weights: str = "imagenet"
    alpha: float = 0.35
    input_size: int = 128
    workers: int = 1
    cpus_per_worker: int | None = None
    gpu: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    max_restarts: int = 5
    epochs: int | None = None
    frozen_epochs: int | None = None
    batch_size: int = 32
    head_learning_rate: float | None = None
    finetune_learning_rate: float | None = None
    patience: int = 15
    mirror: bool = True
    occluded: bool = True
    shuffle_buffer: int = 2000
    seed: int = 0


@cli.config
@dataclass(frozen=True, kw_only=True)
class TrainDetectorConfig(DetectorTraining):
    """What to train a detector on, and how.

    Attributes:
        run: Folder or s3:// URI of the run.
        projection: Projection of the images to train on.
    """

    run: str
    projection: Projection = "orthographic"


def train_detector(config: TrainDetectorConfig) -> None:
    """Train the network that finds the landmarks in one image.

    Example: featurelib train-detector --run runs/heads --projection orthographic --alpha 0.35
    """
    from jobs.drivers.train_detector import run  # imports take seconds; --help must not

    run(config)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    cli.run(cli.single_command(train_detector, "train_detector"))
