"""The report's part on repeats: what the errors of single marks alone contribute to every measured error."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from featurelib.datasets.repeats import RepeatDistance, floor_mm
from featurelib.evaluation.summaries import summary


def repeats_report(distances: Sequence[RepeatDistance]) -> dict[str, Any]:
    """Return `n` pairs of marks, their `objects`, distances and the errors of single marks; empty without repeats."""
    if not distances:
        return {}
    distances_mm = np.array([one.distance_mm for one in distances])
    return {
        "repeats": {
            "n": len(distances),
            "objects": len({one.object_id for one in distances}),
            "distance_mm": summary(distances_mm),
            "floor_mm": summary(floor_mm(distances_mm)),
        }
    }
