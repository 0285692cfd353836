"""How much may be under way at once: what would have to wait too long is refused, which keeps the rest quick."""

from collections.abc import Iterator
from contextlib import contextmanager

from serve.api.errors import ApiError
from serve.metrics import Meters


class ConcurrencyLimiter:
    """Counts what is under way in one stage; used by one event loop."""

    def __init__(self, stage: str, limit: int, retry_s: int, meters: Meters) -> None:
        """Take the stage's name, what it may hold, what Retry-After says, and where it is counted."""
        self.stage, self.limit, self.retry_s, self.meters = stage, limit, retry_s, meters
        self.inside = 0

    @contextmanager
    def __call__(self, amount: int = 1) -> Iterator[None]:
        """Let something in while there is room; a lone one always fits.

        Raises:
            ApiError: 503 with Retry-After, if there is no room.
        """
        if self.inside and self.inside + amount > self.limit:
            self.meters.refused(self.stage)
            message = f"the {self.stage} are full; ask again in {self.retry_s} s"
            raise ApiError(503, message, {"retry-after": str(self.retry_s)})
        self._move(amount)
        try:
            yield
        finally:
            self._move(-amount)

    def _move(self, amount: int) -> None:
        self.inside += amount
        self.meters.waiting(self.stage, self.inside)
