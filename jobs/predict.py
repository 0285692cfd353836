"""Meshes without labels + a run's models -> OUT/predictions: landmarks in millimetres, for any number of meshes."""

from dataclasses import dataclass

from featurelib.geometry import Projection
from featurelib.runtime import cli


@cli.config
@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """Which meshes to predict, and with which models.

    Attributes:
        dataset: Folder or s3:// URI with dataset.json and meshes/; labels are not read.
        run: Folder or s3:// URI of the run with the trained models.
        out: Folder or s3:// URI that receives the predictions.
        projection: Whose models to use; default: the ones with the smallest error on validation objects.
        slicer: Also write a 3D Slicer markups file (OUT/slicer/<object_id>.mrk.json) for each object.
        max_workers: Number of worker pairs (one prepares meshes, one runs the models), one CPU per pair; default: the
            cluster's CPUs.
        gpus_per_worker: Share of a GPU for each process that runs the models.
        object_timeout: Time limit for loading, rendering and registration of one object, in seconds.
        object_memory_mb: Memory limit for loading and rendering one object, in MB.
    """

    dataset: str
    run: str
    out: str
    projection: Projection | None = None
    slicer: bool = False
    max_workers: int | None = None
    gpus_per_worker: float = 0.0
    object_timeout: float = 120.0
    object_memory_mb: int = 8192


def predict(config: PredictConfig) -> None:
    """Find the landmarks of meshes without labels.

    Example: featurelib predict --dataset scans --run runs/heads --out predictions
    """
    from jobs.drivers.predict import run  # imports take seconds; --help must not

    run(config)


if __name__ == "__main__":
    cli.run(cli.single_command(predict, "predict"))
