"""What can be seen of a server from outside: Ray metrics, which every node gives out as Prometheus text.

featurelib_requests_total{route,status}, featurelib_request_ms{route}, featurelib_stage_ms{stage},
featurelib_refused_total{stage}, featurelib_waiting{stage}.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from ray.util.metrics import Counter, Gauge, Histogram

BOUNDS_MS = (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000)
"""Upper ends of the histograms' bins."""


class Meters:
    """The counters of one front."""

    def __init__(self) -> None:
        """Register the metrics with Ray."""
        bounds = list(BOUNDS_MS)
        self._requests = Counter("featurelib_requests", "Requests answered.", ("route", "status"))
        self._request_ms = Histogram("featurelib_request_ms", "Time to answer, in ms.", bounds, ("route",))
        self._stage_ms = Histogram("featurelib_stage_ms", "Time in a stage with its queue, in ms.", bounds, ("stage",))
        self._refused = Counter("featurelib_refused", "Requests that found a queue full.", ("stage",))
        self._waiting = Gauge("featurelib_waiting", "What is in a stage or waits for it.", ("stage",))

    def answered(self, route: str, status: int, ms: float) -> None:
        """Count an answer."""
        self._requests.inc(1, {"route": route, "status": str(status)})
        self._request_ms.observe(ms, {"route": route})

    def refused(self, stage: str) -> None:
        """Count a request that a stage had no room for."""
        self._refused.inc(1, {"stage": stage})

    def waiting(self, stage: str, count: int) -> None:
        """Say how much a stage holds."""
        self._waiting.set(count, {"stage": stage})

    @contextmanager
    def stage(self, stage: str, timings_ms: dict[str, float]) -> Iterator[None]:
        """Time a stage, for the metrics and for the answer."""
        started = perf_counter()
        try:
            yield
        finally:
            timings_ms[stage] = 1000 * (perf_counter() - started)
            self._stage_ms.observe(timings_ms[stage], {"stage": stage})
