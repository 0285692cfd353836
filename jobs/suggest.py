"""DATASET + a run's models, if there are any -> which objects to label next, and why."""

from dataclasses import dataclass

from featurelib.geometry import Projection
from featurelib.runtime import cli
from featurelib.runtime.sandbox import SandboxLimits


@cli.config
@dataclass(frozen=True, kw_only=True)
class SuggestConfig:
    """What to choose from.

    Attributes:
        dataset: Folder or s3:// URI with dataset.json, meshes/ and, for the objects that are labelled, landmarks.csv.
        run: Folder or s3:// URI of a run on this dataset. Its models predict all objects, and those with large expected
            errors are preferred; objects of its test split are never named. Without models only shapes count.
        count: Number of objects to label.
        out: Folder or s3:// URI that receives queue.json, suggest.json, suggest.html and the predictions; default:
            RUN/suggest, where the viewer finds the queue; without a run, nothing is written.
        review: Also list labels that are probably mistakes.
        predictions: Folder of `featurelib predict` with the run's models on this dataset, which is completed if
            necessary; default: OUT/predictions.
        projection: Whose models to use; default: the ones with the smallest error on validation objects.
        object_timeout: Time limit for one object, in seconds.
        object_memory_mb: Memory limit for one object, in MB.
    """

    dataset: str
    run: str | None = None
    count: int = 12
    out: str | None = None
    review: bool = False
    predictions: str | None = None
    projection: Projection | None = None
    object_timeout: float = 120.0
    object_memory_mb: int = 8192

    @property
    def child_limits(self) -> SandboxLimits:
        """The limits of a process that reads meshes."""
        return SandboxLimits(seconds=self.object_timeout, memory_mb=self.object_memory_mb)


def suggest(config: SuggestConfig) -> None:
    """List the objects to label next, the most useful first, with a reason for each.

    Without trained models the objects are spread over the shapes of the dataset. With them, objects with large expected
    errors come first, one of each kind.

    Example: featurelib suggest --dataset heads --count 12 --out checks
    """
    from jobs.drivers.suggest import run  # imports take seconds; --help must not

    run(config)


if __name__ == "__main__":
    cli.run(cli.single_command(suggest, "suggest"))
