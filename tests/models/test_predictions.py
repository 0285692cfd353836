"""Predictions as rows in the user's own frame and unit."""

import csv
import io
import json

import numpy as np
import pyarrow as pa
import pytest

from featurelib.datasets.landmark_files.slicer import read_markups
from featurelib.geometry import Alignment, LandmarkSet, apply
from featurelib.models.prediction_parts import PartReceipt
from featurelib.models.predictions import (
    PREDICTIONS,
    Failure,
    Prediction,
    failure_rows,
    predicted_objects,
    prediction_rows,
    to_csv,
    to_markups,
    without_absent,
)
from featurelib.models.uncertainty.model import Uncertainty

PAIR = LandmarkSet.single_pair("tragus")
MIXED = LandmarkSet((("eye_left", "eye_right"),), midline=("nose",), unpaired=("scar",))
POINTS = np.array([[31.25, -4.5, 7.75], [-30.0, -4.25, 8.5], [0.5, 3, 9], [11, 12, 13]])
"""In the source frame."""

FAILURE = Failure("load", "meshes/b,c.ply: cut off")


@pytest.fixture
def object_from_source() -> np.ndarray:
    return Alignment(((0.5, 0.5, 0.5, 0.5), (0.9, 0.1, -0.3, 0.2)), scale=1.5).object_from_source("inch")


def predicted(landmarks: LandmarkSet, object_from_source: np.ndarray) -> Prediction:
    """A prediction whose last landmark is rejected and whose third, if there is one, does not exist."""
    k = len(landmarks.names)
    present = np.where(np.arange(k) == 2, 0.3, 0.9)
    reasons = ("",) * (k - 1) + ("odd",)
    uncertainty = Uncertainty(np.zeros((k, 3, 3)), 0.4 + 0.1 * np.arange(k), np.arange(k) < k - 1, reasons)
    estimates_mm = {"refined": apply(object_from_source, POINTS[:k])}
    return Prediction(estimates_mm, "refined", np.zeros((k, 3, 3)), {}, uncertainty, present)


@pytest.fixture(params=[PAIR, MIXED])
def landmarks(request) -> LandmarkSet:
    return request.param


@pytest.fixture
def rows(landmarks, object_from_source) -> list[dict]:
    return prediction_rows("a", predicted(landmarks, object_from_source), landmarks.names, object_from_source)


def test_coordinates_are_in_the_source_frame(rows, landmarks) -> None:
    """Rotations, unit and scale are inverted to rounding; standard deviations stay in mm; the order is the set's."""
    placed = [row for row in rows if row["present"]]

    assert [row["landmark"] for row in rows] == list(landmarks.names)
    expected = [point for k, point in enumerate(POINTS[: len(rows)]) if k != 2]
    np.testing.assert_allclose([[row[axis] for axis in "xyz"] for row in placed], expected, atol=1e-12)
    assert [row["sigma_mm"] for row in placed] == pytest.approx([0.4, 0.5, 0.7][: len(placed)])
    assert [(row["accepted"], row["reason"]) for row in rows] == [(True, "")] * (len(rows) - 1) + [(False, "odd")]


def test_a_landmark_that_does_not_exist_is_not_placed(object_from_source) -> None:
    """Its position is NaN, in the table it is null, and whatever its scores are, it is accepted."""
    found = predicted(MIXED, object_from_source)
    rejected = found.uncertainty._replace(accepted=np.zeros(4, bool), reasons=("far",) * 4)

    row = prediction_rows("a", found, MIXED.names, object_from_source)[2]
    uncertainty = without_absent(rejected, found.present)

    assert np.isnan(found.landmarks_mm[2]).all()
    assert np.isfinite(found.landmarks_mm[[0, 1, 3]]).all()
    assert [row[name] for name in (*"xyz", "sigma_mm", "present")] == [None] * 4 + [False]
    assert uncertainty.accepted.tolist() == [False, False, True, False]
    assert uncertainty.reasons == ("far", "far", "", "far")


def test_the_csv_has_the_values_of_the_table(rows, landmarks, monkeypatch) -> None:
    """Numbers have nine digits; an object without a prediction keeps its rows and its reason; parts give one table."""
    table = pa.Table.from_pylist([*rows, *failure_rows("b,c", FAILURE, landmarks.names)], schema=PREDICTIONS)
    content = to_csv(table)
    monkeypatch.setattr("featurelib.models.predictions.ROWS_AT_ONCE", 1)

    assert to_csv(table) == content
    read = list(csv.DictReader(io.StringIO(content.decode())))
    assert list(read[0]) == PREDICTIONS.names
    assert len(read) == 2 * len(landmarks.names)
    assert float(read[0]["x"]) == pytest.approx(31.25, rel=1e-9)
    assert (read[0]["accepted"], read[-1]["accepted"]) == ("true", "false")
    assert (read[0]["present"], read[-1]["present"]) == ("true", "")
    assert read[-1]["object_id"] == "b,c"
    assert read[-1]["x"] == ""
    assert {row["reason"] for row in read[len(rows) :]} == {"load: meshes/b,c.ply: cut off"}


def test_a_table_gives_arrays_by_object(rows, landmarks) -> None:
    """Null is NaN; an object without a prediction has a row of it."""
    table = pa.Table.from_pylist([*rows, *failure_rows("b", FAILURE, landmarks.names)], schema=PREDICTIONS)

    found = predicted_objects(table, len(landmarks.names))

    assert found.object_ids == ["a", "b"]
    known = [row["present"] for row in rows]
    np.testing.assert_allclose(found.points[0, known], POINTS[: len(rows)][known], atol=1e-12)
    assert np.isnan(found.points[1]).all()
    assert np.isnan(found.sigma_mm[0]).tolist() == [not each for each in known]
    assert found.accepted.tolist() == [[row["accepted"] for row in rows], [False] * len(rows)]
    assert found.reasons[1].tolist() == ["load: meshes/b,c.ply: cut off"] * len(rows)


def test_a_receipt_counts_objects_and_landmarks(object_from_source) -> None:
    """An object is accepted if all its landmarks are."""
    found = predicted(MIXED, object_from_source)
    accepted = found._replace(uncertainty=found.uncertainty._replace(accepted=np.ones(4, bool), reasons=("",) * 4))
    rows = [
        *prediction_rows("a", found, MIXED.names, object_from_source),
        *prediction_rows("b", accepted, MIXED.names, object_from_source),
        *failure_rows("c", FAILURE, MIXED.names),
    ]

    receipt = PartReceipt.of("part", pa.Table.from_pylist(rows, schema=PREDICTIONS))

    assert receipt == PartReceipt("part", objects=3, accepted=1, landmarks=12, accepted_landmarks=7)


def test_markups_hold_all_points_in_the_source_frame(rows, landmarks) -> None:
    """A rejected point is not selected; a landmark that does not exist is a point without a position."""
    content = json.loads(to_markups(rows))
    [markup] = content["markups"]
    points = markup["controlPoints"]

    assert (markup["coordinateSystem"], markup["coordinateUnits"]) == ("LPS", "mm")
    assert [point["label"] for point in points] == list(landmarks.names)
    assert [point["selected"] for point in points] == [row["accepted"] for row in rows]
    assert [point["positionStatus"] for point in points] == [
        "defined" if row["present"] else "undefined" for row in rows
    ]
    read = read_markups(content)
    assert [name for name, _ in read.points] == [row["landmark"] for row in rows if row["present"]]
    np.testing.assert_allclose(
        [point["position"] for point, row in zip(points, rows, strict=True) if row["present"]],
        [point for k, point in enumerate(POINTS[: len(rows)]) if k != 2],
        atol=1e-12,
    )
