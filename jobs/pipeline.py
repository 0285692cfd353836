"""DATASET -> RUN/report in one command. Complete steps are skipped."""

from dataclasses import dataclass

from featurelib.runtime import cli
from jobs.render import RenderConfig
from jobs.train_detector import DetectorTraining


@cli.config
@dataclass(frozen=True, kw_only=True)
class PipelineConfig(RenderConfig, DetectorTraining):
    """The flags of all steps: what to render, and how to train.

    Attributes:
        start_from: Earlier run on the same landmarks. Its objects stay in their splits, and the training starts from
            its networks, with a quarter of the epochs and crops.
        refine: Also train the refiner.
        refiner_crops: Number of crops to train each of its two stages on; default: that of train-refiner.
        folds: Deal all labelled objects into this number of folds, 5 for example. Each is predicted by models that have
            not seen it; the report and the error bars are learnt from all. For few objects.
        final: With folds, also train the models of the run, on every labelled object.
    """

    start_from: str | None = None
    refine: bool = True
    refiner_crops: int | None = None
    folds: int | None = None
    final: bool = True


def pipeline(config: PipelineConfig) -> None:
    """Run all steps from dataset to report; after an interruption, continue where it stopped.

    Example: featurelib pipeline --dataset heads --run runs/heads --alpha 0.35
    """
    from jobs.drivers.pipeline import run  # imports take seconds; --help must not

    run(config)


if __name__ == "__main__":
    cli.run(cli.single_command(pipeline, "pipeline"))
