"""Predictions are exported as labels are; absent landmarks and failed objects have no position."""

import json
from pathlib import Path

import pytest

from featurelib.datasets.dataset_json import set_values, settings_json
from featurelib.datasets.landmark_files.formats import read_points
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet
from featurelib.models.prediction_parts import PredictionManifest, commit, parts_uri, write_part
from jobs.export_landmarks import ExportConfig, export_landmarks

SET = LandmarkSet((("ear_left", "ear_right"),), ("nose",), ("scar",))
XYZ = {"ear_left": (1.5, 2.0, 0.1), "ear_right": (-1.5, 2.0, 0.1), "nose": (0.0, 0.25, 3.0)}


def rows(object_id: str, xyz: dict, present: bool | None = True) -> list[dict]:
    """Rows of PREDICTIONS; a landmark without a position is absent, or failed if `present` is None."""
    return [
        {
            "object_id": object_id,
            "landmark": name,
            **dict(zip("xyz", xyz.get(name, (None, None, None)), strict=True)),
            "present": present and name in xyz,
            "accepted": True,
            "reason": "",
        }
        for name in SET.names
    ]


@pytest.fixture
def predicted(tmp_path) -> Path:
    """A dataset without labels, and predictions of two objects, of which one failed."""
    (tmp_path / "data/meshes").mkdir(parents=True)
    (tmp_path / "data/dataset.json").write_bytes(settings_json({"unit": "mm", **set_values(SET)}))
    for name in ("P1", "P2"):
        (tmp_path / f"data/meshes/{name}.ply").write_bytes(b"ply")
    out = str(tmp_path / "predictions")
    receipt = write_part(f"{parts_uri(out)}/part-00000-a.parquet", [*rows("P1", XYZ), *rows("P2", {}, None)])
    commit(out, PredictionManifest.of("data", {}, [receipt]))
    return tmp_path


def exported(folder: Path, kind: str, **more) -> Path:
    values = {"dataset": str(folder / "data"), "predictions": str(folder / "predictions"), "out": str(folder / "out")}
    export_landmarks(ExportConfig(**{**values, "format": kind, **more}))
    return folder / "out"


@pytest.mark.parametrize(
    ("kind", "name"), [("tps", "landmarks.tps"), ("wide", "landmarks.csv"), ("slicer", "P1.mrk.json")]
)
def test_predictions_are_exported_by_name(predicted, kind, name):
    """The object that failed is left out."""
    found = dict(read_points(name, (exported(predicted, kind) / name).read_bytes()).objects)

    assert [*found] == [None if kind == "slicer" else "P1"]
    (points,) = found.values()
    assert dict(points.points) == XYZ
    assert points.absent == ({"scar"} if kind == "slicer" else set())


def test_another_set_and_no_predictions_are_refused(predicted):
    settings = {"unit": "mm", **set_values(LandmarkSet((), ("nose",), ()))}
    (predicted / "data/dataset.json").write_text(json.dumps(settings))
    with pytest.raises(DataError, match="landmark 'ear_left' is not in the dataset's set"):
        exported(predicted, "tps")

    (predicted / "data/dataset.json").write_bytes(settings_json({"unit": "mm", **set_values(SET)}))
    receipt = write_part(f"{parts_uri(str(predicted / 'predictions'))}/part-00000-b.parquet", rows("P2", {}, None))
    commit(str(predicted / "predictions"), PredictionManifest.of("data", {}, [receipt]))
    with pytest.raises(DataError, match="none of its 1 objects has a prediction"):
        exported(predicted, "tps")
