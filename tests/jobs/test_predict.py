"""Predictions for meshes without labels, with a small finished run."""

import csv
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from featurelib.datasets.dataset import open_dataset
from featurelib.errors import DataError
from featurelib.geometry import apply
from featurelib.models.prediction_parts import read_predictions
from featurelib.models.predictions import PREDICTIONS
from jobs.export_landmarks import ExportConfig, export_landmarks
from jobs.predict import PredictConfig, predict


@pytest.fixture(scope="module")
def scans(bodies, tmp_path_factory):
    """Meshes without labels: four of the run's bodies, and one file that is not a mesh."""
    folder = tmp_path_factory.mktemp("scans")
    shutil.copy(bodies / "dataset.json", folder)
    (folder / "meshes").mkdir()
    for name in ("body-00000", "body-00002", "body-00003", "body-00009"):
        shutil.copy(bodies / "meshes" / f"{name}.ply", folder / "meshes")
    (folder / "meshes" / "broken.ply").write_bytes(b"ply\nno mesh")
    return folder


@pytest.fixture(scope="module")
def predicted(cluster, run, scans, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    predict(PredictConfig(dataset=str(scans), run=str(run), out=str(out), projection="orthographic", slicer=True))
    return out


def snapshot(folder):
    """The time of change and the size of each file, by path."""
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*") if path.is_file()}


def test_each_mesh_has_a_row(predicted, scans):
    """Rows are in the order of the ids, with coordinates or with the reason for none."""
    table = pq.read_table(predicted / "predictions.parquet")
    rows = {row["object_id"]: row for row in table.to_pylist()}

    assert table.schema.equals(PREDICTIONS)
    assert list(rows) == sorted(path.stem for path in (scans / "meshes").iterdir())
    assert rows["broken"]["left_x"] is None
    assert rows["broken"]["reason"].startswith("load: meshes/broken.ply")
    assert not rows["broken"]["accepted"]
    for row in rows.values():
        assert row["accepted"] == (row["reason"] == "")
        if row["object_id"] != "broken":
            assert min(row["left_sigma_mm"], row["right_sigma_mm"]) > 0
    with (predicted / "predictions.csv").open() as file:
        assert [row["object_id"] for row in csv.DictReader(file)] == list(rows)


def test_predictions_equal_the_report(predicted, run, scans):
    """The meshes are rendered again, and the landmarks of test objects equal the report's."""
    report = json.loads((run / "report" / "report.json").read_text())["lifter"]["orthographic"]
    with (run / "report" / "per_object.csv").open() as file:
        reported = {
            (row["object_id"], row["side"]): [float(row[f"{axis}_mm"]) for axis in "xyz"]
            for row in csv.DictReader(file)
            if (row["projection"], row["method"]) == ("orthographic", report["chosen"])
        }
    to_object = open_dataset(str(scans), labelled=False).object_from_source
    rows = {row["object_id"]: row for row in pq.read_table(predicted / "predictions.parquet").to_pylist()}

    tested = {object_id for object_id, _ in reported} & set(rows)
    assert len(tested) == 2
    for object_id in tested:
        for side in ("left", "right"):
            found_mm = apply(to_object, [[rows[object_id][f"{side}_{axis}"] for axis in "xyz"]])[0]
            np.testing.assert_allclose(found_mm, reported[object_id, side], atol=0.02)


def test_markups_are_written_on_request(predicted, scans):
    assert {path.name for path in (predicted / "slicer").iterdir()} == {
        f"{path.stem}.mrk.json" for path in (scans / "meshes").iterdir() if path.stem != "broken"
    }


def test_a_repeated_command_predicts_only_new_meshes(predicted, run, scans, bodies, tmp_path):
    """With the same meshes and models nothing is written; a new mesh is predicted in its own part."""
    config = PredictConfig(dataset=str(scans), run=str(run), out=str(predicted), projection="orthographic", slicer=True)
    before = snapshot(predicted)
    predict(config)
    assert snapshot(predicted) == before

    shutil.copytree(scans, tmp_path / "more")
    shutil.copy(bodies / "meshes" / "body-00005.ply", tmp_path / "more" / "meshes")
    shutil.copytree(predicted, tmp_path / "out")
    more = PredictConfig(dataset=str(tmp_path / "more"), run=str(run), out=str(tmp_path / "out"))
    predict(more)
    table = pq.read_table(tmp_path / "out" / "predictions.parquet")
    assert "body-00005" in table["object_id"].to_pylist()


def test_beyond_a_number_of_objects_the_parts_are_the_result(predicted, run, scans, tmp_path, monkeypatch, capsys):
    """The tables of a smaller prediction are deleted, and the message says why; readers read the parts."""
    monkeypatch.setattr("jobs.drivers.predict.MAX_TABLE_OBJECTS", 4)
    out = shutil.copytree(predicted, tmp_path / "out")
    expected = pq.read_table(out / "predictions.parquet")
    (out / "manifest.json").unlink()
    predict(PredictConfig(dataset=str(scans), run=str(run), out=str(out), projection="orthographic", slicer=True))

    assert not list(out.glob("predictions.*"))
    assert read_predictions(str(out)).equals(expected)
    assert f"{out}/parts: 5 objects, " in (printed := capsys.readouterr().out)
    assert "a Parquet dataset, since one table has at most 4 objects" in printed
    export_landmarks(ExportConfig(dataset=str(scans), predictions=str(out), out=str(tmp_path / "files")))
    assert len(list((tmp_path / "files").iterdir())) == 4


def test_an_incomplete_prediction_is_not_read(predicted, scans, tmp_path):
    """Without its manifest a folder of predictions is refused; the message names the command."""
    out = shutil.copytree(predicted, tmp_path / "out")
    (out / "manifest.json").unlink()

    with pytest.raises(DataError, match=r"manifest\.json: missing; `featurelib predict --out .* has not finished"):
        export_landmarks(ExportConfig(dataset=str(scans), predictions=str(out), out=str(tmp_path / "files")))


def test_without_models_the_error_names_the_command(scans, tmp_path):
    with pytest.raises(DataError, match="featurelib pipeline"):
        predict(PredictConfig(dataset=str(scans), run=str(tmp_path), out=str(tmp_path / "out")))
