"""Ray metrics of the server, which each node exports as Prometheus text.

featurelib_requests_total{route,status}, featurelib_request_ms{route}, featurelib_stage_ms{stage},
featurelib_refused_total{stage}, featurelib_waiting{stage}.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from ray.util.metrics import Counter, Gauge, Histogram

BOUNDS_MS = (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000)
"""Upper bounds of the histograms' bins."""


class Meters:
    """The metrics of one ingress replica."""

    def __init__(self) -> None:
        """Register the metrics with Ray."""
        bounds = list(BOUNDS_MS)
        self._requests = Counter("featurelib_requests", "Responses.", ("route", "status"))
        self._request_ms = Histogram("featurelib_request_ms", "Time per request, in ms.", bounds, ("route",))
        self._stage_ms = Histogram("featurelib_stage_ms", "Time in a stage and its queue, in ms.", bounds, ("stage",))
        self._refused = Counter("featurelib_refused", "Requests rejected because a queue was full.", ("stage",))
        self._waiting = Gauge("featurelib_waiting", "Work in a stage and its queue.", ("stage",))

    def count_response(self, route: str, status: int, ms: float) -> None:
        """Count a response."""
        self._requests.inc(1, {"route": route, "status": str(status)})
        self._request_ms.observe(ms, {"route": route})

    def count_refusal(self, stage: str) -> None:
        """Count a request rejected because a stage was full."""
        self._refused.inc(1, {"stage": stage})

    def set_waiting(self, stage: str, amount: int) -> None:
        """Set the amount of work in a stage and its queue."""
        self._waiting.set(amount, {"stage": stage})

    @contextmanager
    def stage(self, stage: str, timings_ms: dict[str, float]) -> Iterator[None]:
        """Time a stage, for the metrics and for the response."""
        started = perf_counter()
        try:
            yield
        finally:
            timings_ms[stage] = 1000 * (perf_counter() - started)
            self._stage_ms.observe(timings_ms[stage], {"stage": stage})
