"""Cells of the tables that benchmarks print."""

import statistics
from collections.abc import Iterable, Sequence

SPREAD = f"{'median':>10}{'lowest':>10}{'highest':>10}"
"""Heading of the columns of `spread`."""


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, the lowest and the highest of repeated measurements."""
    return statistics.median(values), min(values), max(values)


def cells(values: Iterable[float], form: str = "10.1f") -> str:
    """Return numbers side by side, each in the same format."""
    return "".join(f"{value:{form}}" for value in values)
