"""The report's scores: the largest of an object's landmarks, and the mean of a landmark over objects."""

import json

import pytest

from featurelib.geometry import LandmarkSet
from serve.api.scores import read_scores

LANDMARKS = LandmarkSet((("a_l", "a_r"),), midline=("nose",))

ROWS = [
    ("0001", "a_l", (0, 0, 0), 1.0, (0, 0, 4)),
    ("0001", "a_r", (0, 0, 0), 3.0, (0, 0, 1)),
    ("0001", "nose", (0, 0, 0), "nan", (0, 0, 2)),
    ("0002", "a_l", (0, 0, 0), 2.0, ("nan", "nan", "nan")),
    ("0002", "a_r", ("nan", "nan", "nan"), "nan", (0, 0, 0)),
    ("0002", "nose", (0, 0, 0), 0.5, (0, 3, 4)),
]
"""Object, landmark, the chosen method's point and error, and the registered mean shape's point."""


@pytest.fixture
def run(tmp_path):
    """A run with a report of two objects in two projections."""
    report = tmp_path / "report"
    report.mkdir()
    (report / "report.json").write_text(json.dumps({"lifter": {"orthographic": {"chosen": "mlp"}}}))
    lines = ["object_id,projection,method,landmark,x_mm,y_mm,z_mm,error_mm"]
    for object_id, name, point, error, other in ROWS:
        for projection in ("orthographic", "perspective"):
            for method, xyz, of in (("mlp", point, error), ("template", other, 9), ("rays", (7, 7, 7), 99)):
                lines.append(",".join(map(str, (object_id, projection, method, name, *xyz, of))))
    (report / "per_object.csv").write_text("\n".join(lines) + "\n")
    return str(tmp_path)


def test_an_object_has_the_largest_score_of_its_landmarks(run):
    """Landmarks without a label or an estimate are left out; ids keep their zeros."""
    found = read_scores(run, LANDMARKS, "orthographic")

    assert found.method == "mlp"
    scores = {object_id: (score.error_mm, score.disagreement_mm) for object_id, score in found.objects.items()}
    assert scores == {"0001": (3.0, 4.0), "0002": (2.0, 5.0)}


def test_a_landmark_has_its_mean_over_objects(run):
    """Objects in which it is not known are left out."""
    found = read_scores(run, LANDMARKS, "orthographic")

    scores = {name: (score.error_mm, score.disagreement_mm) for name, score in found.landmarks.items()}
    assert scores == {"a_l": (1.5, 4.0), "a_r": (3.0, 1.0), "nose": (0.5, 3.5)}


def test_without_a_report_there_are_no_scores(tmp_path):
    """The response is empty."""
    found = read_scores(str(tmp_path), LANDMARKS, "orthographic")

    assert (found.method, found.objects, found.landmarks) == (None, {}, {})
