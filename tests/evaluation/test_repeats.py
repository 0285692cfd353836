"""The report's part on repeats."""

import numpy as np
import pytest

from featurelib.datasets.repeats import RepeatDistance
from featurelib.evaluation import repeats_report


def test_the_floor_is_the_distance_over_the_root_of_two():
    """Pairs and objects are counted; both numbers have the statistics of errors."""
    found = [RepeatDistance("a", "chin", 1.0), RepeatDistance("a", "nose", 2.0), RepeatDistance("b", "chin", 6.0)]
    part = repeats_report(found)["repeats"]

    assert (part["n"], part["objects"]) == (3, 2)
    assert part["distance_mm"] == pytest.approx({"mean": 3.0, "median": 2.0, "p95": 5.6})
    for name, value in part["floor_mm"].items():
        assert value == pytest.approx(part["distance_mm"][name] / np.sqrt(2))


def test_without_repeats_the_report_has_no_such_part():
    assert repeats_report([]) == {}
