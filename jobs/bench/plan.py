"""`featurelib bench plan`: time and memory to plan a large rendering or prediction."""

from dataclasses import dataclass

from featurelib.runtime import cli


@cli.config
@dataclass(frozen=True, kw_only=True)
class BenchPlanConfig:
    """How many objects to plan for.

    Attributes:
        objects: Number of objects in the simulated listing.
        predict: Plan, gather and commit a prediction instead; each request to the store takes --request-ms.
        request_ms: Time of a request of the simulated store, in ms.
    """

    objects: int = 1_000_000
    predict: bool = False
    request_ms: float = 5.0


def bench_plan(config: BenchPlanConfig = BenchPlanConfig()) -> None:
    """Measure the time and memory to plan a rendering and to detect that it is finished, on a simulated S3 listing.

    Example: featurelib bench plan --objects 1000000
    Example: featurelib bench plan --objects 1000000 --predict
    """
    from jobs.bench.drivers.plan import run  # imports take seconds; --help must not

    run(config)
