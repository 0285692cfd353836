"""Load shedding: work beyond a limit is rejected at once, so that the rest stays fast."""

from collections.abc import Iterator
from contextlib import contextmanager

from serve.api.errors import ApiError
from serve.metrics import Meters


class ConcurrencyLimiter:
    """Limits the concurrent work in one stage; for one event loop."""

    def __init__(self, stage: str, limit: int, retry_s: int, meters: Meters) -> None:
        """Take the stage's name, its limit, the value of Retry-After and the metrics."""
        self.stage, self.limit, self.retry_s, self.meters = stage, limit, retry_s, meters
        self.amount = 0

    @contextmanager
    def __call__(self, amount: int = 1) -> Iterator[None]:
        """Hold an amount of work within the limit; any amount fits an empty stage.

        Raises:
            ApiError: 503 with Retry-After, if it does not fit.
        """
        if self.amount and self.amount + amount > self.limit:
            self.meters.count_refusal(self.stage)
            message = f"too many {self.stage} at once; retry in {self.retry_s} s"
            raise ApiError(503, message, {"retry-after": str(self.retry_s)})
        self._add(amount)
        try:
            yield
        finally:
            self._add(-amount)

    def _add(self, amount: int) -> None:
        self.amount += amount
        self.meters.set_waiting(self.stage, self.amount)
