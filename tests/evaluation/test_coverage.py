"""The chosen method's answers in the report: coverage, acceptance, presence, and left against right."""

import json

import numpy as np
import pytest

from featurelib.evaluation import Answers, landmarks_report, pairs_report, presence_report, uncertainty_report
from featurelib.geometry import LandmarkSet, canonical
from featurelib.models.uncertainty.model import fit_uncertainty

NAN = float("nan")
PAIR = LandmarkSet.single_pair("ear")
MIXED = LandmarkSet((("eye_left", "eye_right"), ("ear_left", "ear_right")), midline=("nose",), unpaired=("scar",))


def unit(count: int, k: int) -> np.ndarray:
    """Covariances of 1 mm^2."""
    return np.broadcast_to(np.eye(3), (count, k, 3, 3))


def fitted(landmarks: LandmarkSet):
    random, k = np.random.default_rng(0), len(landmarks.names)
    scores = [{"move": random.gamma(2, size=k)} for _ in range(500)]
    residuals_mm = random.normal(size=(500, k, 3))
    return fit_uncertainty(residuals_mm, unit(500, k), scores, canonical(landmarks).channel)


def answers_of(residuals_mm: np.ndarray, **more) -> Answers:
    """Answers for present landmarks, all accepted."""
    count, k, _ = residuals_mm.shape
    plain = {
        "object_ids": [f"o{i}" for i in range(count)],
        "covariance_mm2": unit(count, k),
        "accepted": np.ones((count, k), bool),
        "reasons": [""] * count,
        "is_present": np.ones((count, k), bool),
        "is_absent": np.zeros((count, k), bool),
    }
    return Answers(residuals_mm=residuals_mm, **(plain | more))


@pytest.mark.parametrize("landmarks", [PAIR, MIXED])
def test_coverage_and_groups_are_those_of_the_answers(landmarks) -> None:
    """Regions of errors with the predicted deviation hold; rejected objects are counted separately, with reasons."""
    k = len(landmarks.names)
    residuals_mm = np.random.default_rng(1).normal(size=(400, k, 3))
    residuals_mm[:4] *= 10
    residuals_mm[50:90, 0] = NAN
    accepted = np.ones((400, k), bool)
    accepted[:4] = False
    answers = answers_of(residuals_mm, accepted=accepted, reasons=["odd"] * 4 + [""] * 396)

    report = uncertainty_report(fitted(landmarks), "refined", answers)

    assert report["coverage_68"] == pytest.approx(0.68, abs=0.05)
    assert report["coverage_95"] == pytest.approx(0.95, abs=0.03)
    assert report["calibration"] == sorted(report["calibration"])
    assert [(report[group]["n"], report[group]["landmarks"]) for group in ("accepted", "rejected")] == [
        (396, 396 * k),
        (4, 4 * k),
    ]
    assert report["rejected"]["median_mm"] > 4 * report["accepted"]["median_mm"]
    assert report["rejected"]["reasons"] == {f"o{i}": "odd" for i in range(4)}


def test_no_rejected_object_has_no_median() -> None:
    report = uncertainty_report(fitted(PAIR), "mlp", answers_of(np.zeros((1, 2, 3))))

    assert report["rejected"] == {"n": 0, "landmarks": 0, "median_mm": None, "reasons": {}}


def test_a_landmark_is_rejected_alone() -> None:
    """Its object is no longer accepted as a whole; its other landmarks count as accepted."""
    accepted = np.ones((3, 6), bool)
    accepted[1, 4] = False

    report = uncertainty_report(fitted(MIXED), "refined", answers_of(np.ones((3, 6, 3)), accepted=accepted))

    assert (report["accepted"]["n"], report["accepted"]["landmarks"]) == (2, 17)
    assert (report["rejected"]["n"], report["rejected"]["landmarks"]) == (1, 1)


def test_each_landmark_has_its_coverage() -> None:
    """A landmark with errors beyond its regions, and one without a label, change no other; all is strict JSON."""
    residuals_mm = np.random.default_rng(2).normal(size=(300, 6, 3))
    residuals_mm[:, 2] *= 5
    residuals_mm[:, 5] = NAN

    report = landmarks_report(fitted(MIXED), MIXED, answers_of(residuals_mm))

    assert list(report) == list(MIXED.names)
    coverage = {name: of_one["coverage_68"] for name, of_one in report.items()}
    assert coverage["ear_left"] < 0.1
    assert coverage["scar"] is None
    assert all(coverage[name] == pytest.approx(0.68, abs=0.08) for name in ("eye_left", "eye_right", "nose"))
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_absent_landmarks_are_found_or_missed() -> None:
    """What is neither labelled as absent nor has a position counts for nothing; without absent labels all is null."""
    residuals_mm = np.zeros((4, 6, 3))
    residuals_mm[:3, 5] = NAN
    is_absent, is_present = np.zeros((4, 6), bool), np.ones((4, 6), bool)
    is_absent[:2, 5] = True
    is_present[[0, 2], 5], is_present[3, 0] = False, False
    answers = answers_of(residuals_mm, is_absent=is_absent, is_present=is_present)

    assert presence_report(answers) == {
        "absent_found": 1,
        "absent_missed": 1,
        "present_found": 20,
        "present_missed": 1,
    }
    scar = landmarks_report(fitted(MIXED), MIXED, answers)["scar"]
    assert [scar[name] for name in ("absent_found", "absent_missed", "present_found", "present_missed")] == [1, 1, 1, 0]
    assert presence_report(answers_of(residuals_mm)) is None


def test_left_is_compared_with_right() -> None:
    """A left side that is worse by 0.5 mm on each object has a narrow interval; objects with one side do not count."""
    errors_mm = np.random.default_rng(3).gamma(2, size=(40, 6))
    errors_mm[:, 0] = errors_mm[:, 1] + 0.5
    errors_mm[:3, 1] = NAN
    errors_mm[:, 2] = NAN

    eyes, ears = pairs_report(errors_mm, MIXED)

    assert (eyes["left"], eyes["right"], eyes["n"]) == ("eye_left", "eye_right", 37)
    assert eyes["left_minus_right_mm"] == pytest.approx(0.5)
    assert eyes["interval_mm"] == pytest.approx([0.5, 0.5])
    assert (ears["n"], ears["left_minus_right_mm"], ears["interval_mm"]) == (0, None, None)
