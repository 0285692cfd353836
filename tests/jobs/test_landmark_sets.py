"""A run on a landmark set, some of whose labels are missing: report, predictions and the holdout experiment."""

import csv
import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.landmark_table import write_landmarks
from featurelib.datasets.objects_table import write_objects
from featurelib.datasets.synthetic import LANDMARKS, write_dataset
from jobs.drivers.evaluated import PER_OBJECT
from jobs.experiments.holdout import HoldoutConfig, holdout
from jobs.pipeline import pipeline

OBJECTS = 14
MISSING = 1 / 8


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Bodies of which every eighth label is missing; two are for validation and two for the test."""
    folder = tmp_path_factory.mktemp("set")
    write_dataset(folder, OBJECTS, landmarks=LANDMARKS)
    random, points = np.random.default_rng(0), {}
    for row in open_dataset(str(folder)).objects.to_pylist():
        labels = np.reshape(row["landmarks"], (-1, 3))
        labels[random.random(len(labels)) < MISSING] = np.nan
        points[row["object_id"]] = labels
    (folder / "landmarks.csv").write_bytes(write_landmarks(LANDMARKS, points))
    splits = ["train"] * (OBJECTS - 4) + ["val"] * 2 + ["test"] * 2
    extras = {object_id: (object_id, split) for object_id, split in zip(points, splits, strict=True)}
    (folder / "objects.csv").write_bytes(write_objects(extras))
    return folder


@pytest.fixture(scope="module")
def set_run(cluster, dataset, recipe, tmp_path_factory):
    """A run on them, trained too briefly for a useful accuracy."""
    run = tmp_path_factory.mktemp("run")
    pipeline(replace(recipe, dataset=str(dataset), run=str(run)))
    return run


@pytest.mark.slow
def test_the_report_has_each_landmark(set_run):
    """Numbers are finite where there are labels, and the page is written."""
    report = json.loads((set_run / "report" / "report.json").read_text())
    lifter = report["lifter"]["orthographic"]

    assert report["landmarks"] == list(lifter["landmarks"]) == list(LANDMARKS.names)
    for method in (lifter["chosen"], "template"):
        scores = lifter["test"][method]
        assert list(scores["by_landmark"]) == list(LANDMARKS.names)
        assert scores["error_mm"]["mean"] > 0
        assert scores["morphometrics"]["n"] == 2
    assert [(pair["left"], pair["right"]) for pair in lifter["pairs"]] == list(LANDMARKS.pairs)
    assert lifter["presence"] is None
    with (set_run / "report" / "per_object.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == PER_OBJECT
    assert len(rows) == 2 * len(LANDMARKS.names) * len(lifter["test"])
    assert (set_run / "report" / "report.html").read_text().count('<tr><th class="name" scope="row" data-value="') > 6


@pytest.mark.slow
def test_all_landmarks_of_unseen_objects_are_predicted(set_run, dataset, tmp_path, capsys):
    """Also those that are not labelled; errors count labelled ones only."""
    holdout(HoldoutConfig(dataset=str(dataset), run=str(set_run), out=str(tmp_path)))

    table = pq.read_table(tmp_path / "predictions.parquet")
    assert table["landmark"].to_pylist() == list(LANDMARKS.names) * OBJECTS
    assert table["x"].null_count == 0
    assert all(table["present"].to_pylist())
    assert any(
        line.split()[:3] == ["all", str(OBJECTS), str(6 * OBJECTS)] for line in capsys.readouterr().out.splitlines()
    )
