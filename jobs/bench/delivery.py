"""How fast batches of training samples arrive: the rate, the start-up time and the CPU time per sample."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import ray

from jobs.bench.footprint import Footprint
from jobs.workers.detector_samples import StreamPlan
from jobs.workers.detector_stream import in_order, passes_of, sample_stream

Arrivals = list[tuple[float, int]]
"""For each batch, the time of its arrival (time.time()) and its number of samples."""


class Delivery(NamedTuple):
    """What arrived.

    Attributes:
        samples: Number of samples.
        start_s: Seconds until the first batch.
        rate: Samples per second after the first batch.
        cpu_ms: CPU time per sample after the first batch, over all processes.
    """

    samples: int
    start_s: float
    rate: float
    cpu_ms: float


def stream_delivery(plan: StreamPlan, workers: int = 1) -> Delivery:
    """Measure our stream into `workers` processes that discard the batches; it is opened as Ray Train opens it."""
    stream = sample_stream(plan, workers)
    stream.context.execution_options = in_order()
    shares = stream.streaming_split(workers, equal=True)
    return measure_delivery(lambda: [consume.remote(share, plan.batch_size // workers) for share in shares])


def measure_delivery(start: Callable[[], list[Any]]) -> Delivery:
    """Measure tasks that `start` submits; each returns its Arrivals."""
    with Footprint({}, memory=False) as footprint:
        began = time.time()
        arrivals = sorted(arrival for found in ray.get(start()) for arrival in found)
    samples = sum(count for _, count in arrivals)
    (first, count), (last, _) = arrivals[0], arrivals[-1]
    steady = max(1, samples - count)
    cpu_s = footprint.cpu_s(first, last)
    return Delivery(
        samples,
        start_s=first - began,
        rate=steady / max(1e-9, last - first),
        cpu_ms=1e3 * cpu_s / steady,
    )


@ray.remote(num_cpus=0)
def consume(share: ray.data.DataIterator, batch_size: int) -> Arrivals:
    """Return the arrivals of one worker's share of the stream."""
    passes = passes_of(share, batch_size)
    return [(time.time(), len(batch.images)) for _, one_pass in passes for batch in one_pass]
