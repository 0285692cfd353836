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
from jobs.drivers.predict import choose_models
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


def by_landmark(table):
    """The rows of a table by object and landmark."""
    return {(row["object_id"], row["landmark"]): row for row in table.to_pylist()}


def test_each_mesh_has_a_row_for_each_landmark(predicted, scans):
    """Rows are in the order of the ids and of the set, with coordinates or with the reason for none."""
    table = pq.read_table(predicted / "predictions.parquet")
    rows, names = by_landmark(table), open_dataset(str(scans), labelled=False).landmarks.names
    objects = sorted(path.stem for path in (scans / "meshes").iterdir())

    assert table.schema.equals(PREDICTIONS)
    assert list(rows) == [(object_id, name) for object_id in objects for name in names]
    for (object_id, _), row in rows.items():
        assert row["accepted"] == (row["reason"] == "")
        if object_id == "broken":
            assert row["x"] is row["sigma_mm"] is row["present"] is None
            assert row["reason"].startswith("load: meshes/broken.ply")
        else:
            assert row["sigma_mm"] > 0
            assert row["present"]
    with (predicted / "predictions.csv").open() as file:
        assert [(row["object_id"], row["landmark"]) for row in csv.DictReader(file)] == list(rows)


def test_predictions_equal_the_report(predicted, run, scans):
    """The meshes are rendered again, and the landmarks of test objects equal the report's."""
    report = json.loads((run / "report" / "report.json").read_text())["lifter"]["orthographic"]
    with (run / "report" / "per_object.csv").open() as file:
        reported = {
            (row["object_id"], row["landmark"]): [float(row[f"{axis}_mm"]) for axis in "xyz"]
            for row in csv.DictReader(file)
            if (row["projection"], row["method"]) == ("orthographic", report["chosen"])
        }
    dataset = open_dataset(str(scans), labelled=False)
    rows = by_landmark(pq.read_table(predicted / "predictions.parquet"))

    tested = set(reported) & set(rows)
    assert len(tested) == 2 * len(dataset.landmarks.names)
    for key in tested:
        found_mm = apply(dataset.object_from_source, [[rows[key][axis] for axis in "xyz"]])[0]
        np.testing.assert_allclose(found_mm, reported[key], atol=0.02)


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
    monkeypatch.setattr("jobs.drivers.predict.MAX_TABLE_ROWS", 9)
    out = shutil.copytree(predicted, tmp_path / "out")
    expected = pq.read_table(out / "predictions.parquet")
    (out / "manifest.json").unlink()
    predict(PredictConfig(dataset=str(scans), run=str(run), out=str(out), projection="orthographic", slicer=True))

    assert not list(out.glob("predictions.*"))
    assert read_predictions(str(out)).equals(expected)
    assert f"{out}/parts: 5 objects, " in (printed := capsys.readouterr().out)
    assert "a Parquet dataset, since one table has at most 9 rows" in printed
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


def test_a_dataset_of_another_set_is_refused(run, scans, tmp_path):
    """In one line that names both, and how they differ; a set in the older spelling is the same set."""
    other = shutil.copytree(scans, tmp_path / "other")
    settings = json.loads((other / "dataset.json").read_text())
    landmarks = open_dataset(str(scans), labelled=False).landmarks
    settings.pop("landmark", None)
    more = {**landmarks.to_dict(), "unpaired": ["scar"]}
    renamed = {**settings, "landmarks": more}
    (other / "dataset.json").write_text(json.dumps(renamed))

    with pytest.raises(DataError, match=r"trained on another landmark set than .*dataset\.json, without 'scar'"):
        choose_models(str(run), "orthographic", open_dataset(str(other), labelled=False))
    same = {**settings, "landmarks": landmarks.to_dict()}
    (other / "dataset.json").write_text(json.dumps(same))
    assert choose_models(str(run), "orthographic", open_dataset(str(other), labelled=False)).landmarks == landmarks
