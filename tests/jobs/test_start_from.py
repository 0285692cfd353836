"""Trainings that start from the networks of an earlier run."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from featurelib.errors import DataError, UsageError
from featurelib.models.keras_models import load_model
from featurelib.runtime import storage
from jobs.pipeline import pipeline
from jobs.render import RenderConfig, render
from jobs.train_detector import TrainDetectorConfig, train_detector
from jobs.train_refiner import TrainRefinerConfig, train_refiner

DETECTOR = {"alpha": 0.35, "input_size": 64, "weights": "none", "batch_size": 16}
"""Flags of the fixture `recipe` that an earlier detector must share, and others."""


def trained_weights(path) -> list[np.ndarray]:
    """The weights of a network that its training changes."""
    return [np.asarray(variable) for variable in load_model(path.read_bytes()).trainable_variables]


def assert_same(first, second) -> None:
    """Compare the weights of two networks."""
    for before, after in zip(trained_weights(first), trained_weights(second), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.fixture
def rendered(run, recipe, tmp_path):
    """The renders of a new run on the same bodies."""
    shutil.copytree(run / "renders", tmp_path / "renders")
    return tmp_path


@pytest.mark.slow
def test_networks_that_learn_nothing_stay_those_of_the_earlier_run(cluster, run, recipe, tmp_path):
    """With a learning rate of 0, each network has the weights that it started from; new ones have others."""
    slow = replace(recipe, run=str(tmp_path), start_from=str(run), epochs=1, finetune_learning_rate=0.0, refine=False)
    pipeline(slow)
    train_refiner(TrainRefinerConfig(run=str(tmp_path), start_from=str(run), num_crops=64, learning_rate=0.0))

    assert_same(run / "detector/orthographic/model.keras", tmp_path / "detector/orthographic/model.keras")
    for name in ("stage-0.keras", "stage-1.keras"):
        assert_same(run / "refiner/orthographic" / name, tmp_path / "refiner/orthographic" / name)


@pytest.mark.slow
def test_a_continued_pipeline_ends_in_a_report(cluster, run, recipe, tmp_path):
    """Each network differs from the one that it started from; a second call has nothing to do."""
    config = replace(recipe, run=str(tmp_path), start_from=str(run), epochs=None)
    pipeline(config)

    for name in ("detector/orthographic/model.keras", "refiner/orthographic/stage-1.keras"):
        before, after = (trained_weights(folder / name)[0] for folder in (run, tmp_path))
        assert not np.array_equal(before, after)
    first, second = (
        json.loads((folder / "report/report.json").read_text())["learning_curve"] for folder in (run, tmp_path)
    )
    assert second["points"][:-1] == first["points"]
    assert len(second["points"]) == 2
    assert "<h2>Learning curve</h2>" in (tmp_path / "report/report.html").read_text()
    changed = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    pipeline(config)
    assert changed == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


@pytest.mark.parametrize(
    ("start", "flags", "fault"),
    [
        ("itself", {}, "expected another run than --run"),
        ("nowhere", {}, "no trained detector of orthographic images"),
        ("run", {"alpha": 0.5}, r"--alpha 0.5: the detector of --start-from has --alpha 0.35"),
        ("run", {"input_size": 96}, "--input-size 96: the detector of --start-from has --input-size 64"),
    ],
)
def test_another_start_is_refused(run, rendered, start, flags, fault):
    """In one line, before any training."""
    uri = {"itself": rendered, "nowhere": rendered / "nowhere", "run": run}[start]
    config = TrainDetectorConfig(run=str(rendered), start_from=str(uri), **(DETECTOR | flags))

    with pytest.raises((DataError, UsageError), match=fault):
        train_detector(config)


@pytest.mark.parametrize("train", [train_detector, train_refiner])
def test_networks_that_have_seen_every_object_are_refused(run, tmp_path, train):
    """Those of final models of folds, by each step that would start from them."""
    final, later = (shutil.copytree(run, tmp_path / name) for name in ("final", "later"))
    config = final / "detector/orthographic/config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "folds": 3}))
    flags = DETECTOR if train is train_detector else {}
    kind = TrainDetectorConfig if train is train_detector else TrainRefinerConfig

    with pytest.raises(DataError, match="trained on every object by --folds, so none is left to judge by"):
        train(kind(run=str(later), start_from=str(final), **flags))


def test_networks_that_know_a_held_out_object_are_refused(cluster, run, bodies, tmp_path):
    """Their errors on it would be too small; the line names the object and the fix."""
    dataset = shutil.copytree(bodies, tmp_path / "bodies")
    table = dataset / "landmarks.csv"
    lines = table.read_text().splitlines()
    assert lines[-1].endswith(",train")
    table.write_text("\n".join([*lines[:-1], lines[-1].removesuffix("train") + "val"]) + "\n")
    other = str(tmp_path / "run")
    render(RenderConfig(dataset=str(dataset), run=other, projections=("orthographic",), image_size=128))

    message = r"--start-from .*: its networks were trained on object body-00013, which is now in val; put it into train"
    with pytest.raises(DataError, match=message):
        train_detector(TrainDetectorConfig(run=other, start_from=str(run), **DETECTOR))
    assert not storage.exists(storage.join(other, "detector"))
