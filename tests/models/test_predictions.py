"""Predictions as rows in the user's own frame and unit."""

import csv
import io
import json

import numpy as np
import pyarrow as pa
import pytest

from featurelib.geometry import Alignment, apply
from featurelib.models.predictions import PREDICTIONS, Prediction, failure_row, prediction_row, to_csv, to_markups
from featurelib.models.uncertainty.model import Uncertainty

PAIR = np.array([[31.25, -4.5, 7.75], [-30.0, -4.25, 8.5]])
"""In the source frame."""


@pytest.fixture
def object_from_source() -> np.ndarray:
    return Alignment(((0.5, 0.5, 0.5, 0.5), (0.9, 0.1, -0.3, 0.2)), scale=1.5).object_from_source("inch")


@pytest.fixture
def row(object_from_source) -> dict:
    uncertainty = Uncertainty(np.zeros((2, 3, 3)), np.array([0.4, 0.5]), False, "left: odd")
    estimates_mm = {"refined": apply(object_from_source, PAIR)}
    found = Prediction(estimates_mm, "refined", np.zeros((2, 3, 3)), {}, uncertainty)
    return prediction_row("a", found, object_from_source)


def test_coordinates_are_in_the_source_frame(row) -> None:
    """Rotations, unit and scale are inverted to rounding; standard deviations stay in mm."""
    found = [[row[f"{side}_{axis}"] for axis in "xyz"] for side in ("left", "right")]

    np.testing.assert_allclose(found, PAIR, atol=1e-12)
    assert (row["left_sigma_mm"], row["right_sigma_mm"]) == (0.4, 0.5)
    assert (row["accepted"], row["reason"]) == (False, "left: odd")


def test_the_csv_has_the_values_of_the_table(row) -> None:
    """Numbers have nine digits; an object without a prediction keeps its row and its reason."""
    rows = [row, failure_row("b,c", "load", "meshes/b,c.ply: cut off")]
    table = pa.Table.from_pylist(rows, schema=PREDICTIONS)

    read = list(csv.DictReader(io.StringIO(to_csv(table).decode())))

    assert list(read[0]) == PREDICTIONS.names
    assert float(read[0]["left_x"]) == pytest.approx(31.25, rel=1e-9)
    assert (read[0]["accepted"], read[1]["accepted"]) == ("false", "false")
    assert read[1]["object_id"] == "b,c"
    assert read[1]["left_x"] == ""
    assert read[1]["reason"] == "load: meshes/b,c.ply: cut off"


def test_markups_hold_both_points_in_the_source_frame(row) -> None:
    markup = json.loads(to_markups(row, "tragus"))["markups"][0]

    assert (markup["coordinateSystem"], markup["coordinateUnits"]) == ("LPS", "mm")
    np.testing.assert_allclose([point["position"] for point in markup["controlPoints"]], PAIR, atol=1e-12)
    assert [point["label"] for point in markup["controlPoints"]] == ["left tragus", "right tragus"]
    assert not any(point["selected"] for point in markup["controlPoints"])
