"""The uncertainty part of the report."""

import numpy as np
import pytest

from featurelib.evaluation import uncertainty_report
from featurelib.models.uncertainty.model import fit_uncertainty


@pytest.fixture
def uncertainty():
    random = np.random.default_rng(0)
    scores = [{"move": random.gamma(2, size=2)} for _ in range(500)]
    return fit_uncertainty(random.normal(size=(500, 2, 3)), np.broadcast_to(np.eye(3), (500, 2, 3, 3)), scores)


def test_coverage_and_groups_are_those_of_the_answers(uncertainty) -> None:
    """Regions of errors with the predicted deviation hold; rejected objects are counted separately, with reasons."""
    random = np.random.default_rng(1)
    residuals_mm = random.normal(size=(400, 2, 3))
    residuals_mm[:4] *= 10
    reasons = ["odd"] * 4 + [""] * 396

    report = uncertainty_report(
        uncertainty,
        "refined",
        [f"o{i}" for i in range(400)],
        residuals_mm,
        np.broadcast_to(np.eye(3), (400, 2, 3, 3)),
        reasons,
    )

    assert report["coverage_68"] == pytest.approx(0.68, abs=0.05)
    assert report["coverage_95"] == pytest.approx(0.95, abs=0.03)
    assert report["calibration"] == sorted(report["calibration"])
    assert (report["accepted"]["n"], report["rejected"]["n"]) == (396, 4)
    assert report["rejected"]["median_mm"] > 4 * report["accepted"]["median_mm"]
    assert report["rejected"]["reasons"] == {f"o{i}": "odd" for i in range(4)}


def test_no_rejected_object_has_no_median(uncertainty) -> None:
    report = uncertainty_report(
        uncertainty, "mlp", ["a"], np.zeros((1, 2, 3)), np.eye(3) + np.zeros((1, 2, 3, 3)), [""]
    )

    assert report["rejected"] == {"n": 0, "median_mm": None, "reasons": {}}
