"""train-refiner on a small finished run, and its crops."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from featurelib.datasets.dataset import MeshFile, open_dataset
from featurelib.errors import DataError, UsageError
from featurelib.geometry import LandmarkSet
from featurelib.models.lifter.vectors import read_vectors
from featurelib.models.refiner.directions import Directions
from featurelib.models.refiner.files import read_numbers
from featurelib.models.refiner.model import load_refiner
from featurelib.models.refiner.plan import SamplePlan
from featurelib.models.refiner.sides import training_sides
from featurelib.models.refiner.stages import CropSize, InitialErrors
from featurelib.models.uncertainty.model import UncertaintyModel
from jobs.evaluate import EvaluateConfig, evaluate
from jobs.train_detector import TrainDetectorConfig, train_detector
from jobs.train_lifter import TrainLifterConfig, train_lifter
from jobs.train_refiner import TrainRefinerConfig, train_refiner
from jobs.vectorize import VectorizeConfig, vectorize
from jobs.workers.inference import mesh_files, without_objects
from jobs.workers.refiner_task import PAIR_CROPS, default_crops
from jobs.workers.refiner_training import rendered

NUM_CROPS = 64


def snapshot(folder):
    """Return path, time of change and size of every file."""
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def plan(run, bodies) -> SamplePlan:
    """The plan of a first stage on the run's training objects, of five batches in two segments."""
    training, dataset = read_vectors(str(run), "orthographic").where("train"), open_dataset(str(bodies))
    meshes = tuple(mesh_files(dataset, training.object_ids))
    labels = training.landmarks_mm, training.absent, training_sides(dataset.landmarks)
    settings = Directions.of_pair(), CropSize(80.0, 32), InitialErrors(np.empty((0, 3)), 4.0), 128, 5, (3, 0)
    return SamplePlan(without_objects(dataset), meshes, *labels, *settings)


def test_a_refiner_has_its_files_and_its_start(run):
    """The folder has one network per stage; the error of the start on validation objects is in refiner.json."""
    folder = run / "refiner" / "orthographic"
    numbers = read_numbers(str(folder))

    networks = {f"stage-{i}.{suffix}" for i in (0, 1) for suffix in ("keras", "tflite")}
    assert {path.name for path in folder.iterdir()} == {*networks, "refiner.json", "config.json"}
    assert numbers["order"] in ([0, 1], [0, 1, 1])
    assert {numbers["start"], "template", "refined"} <= set(numbers["validation_mm"])
    assert 0 < numbers["stages"][1]["frame"]["width_mm"] <= numbers["stages"][0]["frame"]["width_mm"]
    assert UncertaintyModel.from_dict(numbers["uncertainty"]).bars.num_objects == 2


def test_a_second_run_of_a_finished_training_writes_nothing(run, capsys):
    """Configuration and inputs are unchanged."""
    before = snapshot(run)
    train_refiner(TrainRefinerConfig(run=str(run), num_crops=NUM_CROPS))

    assert snapshot(run) == before
    assert "nothing to do" in capsys.readouterr().out


def test_the_report_has_the_refined_landmarks_of_all_test_objects(run):
    """`refined` is a method in the table and per object; it is chosen if it is best on validation objects."""
    report = json.loads((run / "report" / "report.json").read_text())
    rows = (run / "report" / "per_object.csv").read_text().splitlines()

    lifter = json.loads((run / "lifter" / "orthographic" / "lifter.json").read_text())
    refined_mm = read_numbers(str(run / "refiner" / "orthographic"))["validation_mm"]["refined"]
    is_best = refined_mm < lifter["validation_mm"][lifter["chosen"]]
    assert report["lifter"]["orthographic"]["test"]["refined"]["n"] == 2
    assert (report["lifter"]["orthographic"]["chosen"] == "refined") == is_best
    assert sum(",orthographic,refined," in row for row in rows) == 4


def test_a_pair_has_the_fewest_crops():
    """Each further channel adds some; both landmarks of a pair share one."""
    pair = LandmarkSet.single_pair("tip")
    pairs = LandmarkSet((*pair.pairs, ("a", "b")))

    assert default_crops(pair) == PAIR_CROPS < default_crops(pairs)
    assert default_crops(LandmarkSet(pair.pairs, ("nose",))) == default_crops(pairs)


@pytest.mark.parametrize("training_threads", [1, 16])
def test_rendered_batches_are_the_plans_in_order(plan, training_threads):
    """The same seed gives the same batches, whatever number of threads renders them."""
    here = [batch for segment in range(plan.num_segments) for batch in plan.batches(segment)]
    there = list(rendered(plan, training_threads))

    assert [len(batch.images) for batch in there] == [128] * 5
    for one, other in zip(here, there, strict=True):
        assert np.array_equal(one.images, other.images)
        assert np.array_equal(one.labels.xy, other.labels.xy)


@pytest.fixture
def small_run(run, tmp_path):
    """A copy of the run with one projection, without its refiner and its report."""
    for part in ("renders", "vectors", "lifter"):
        shutil.copytree(run / part, tmp_path / "run" / part, ignore=shutil.ignore_patterns("perspective*"))
    return tmp_path / "run"


@pytest.mark.slow
def test_the_networks_can_be_reused_for_the_other_projection(run, tmp_path):
    """They are unchanged; views, variances and uncertainty are calibrated on that projection's first estimates."""
    for part in ("renders", "vectors", "lifter", "refiner"):
        shutil.copytree(run / part, tmp_path / part)
    other = {"run": str(tmp_path), "projection": "perspective"}
    train_detector(TrainDetectorConfig(**other, alpha=0.35, weights="none", input_size=64, epochs=1, batch_size=16))
    vectorize(VectorizeConfig(**other))
    train_lifter(TrainLifterConfig(**other))
    train_refiner(TrainRefinerConfig(**other, reuse_networks="orthographic"))

    taken, trained = (load_refiner(str(tmp_path / "refiner" / p)) for p in ("perspective", "orthographic"))
    for ours, theirs in zip(taken.distinct_stages, trained.distinct_stages, strict=True):
        assert ours.crop_size == theirs.crop_size
        assert (ours.network.keras, ours.network.litert) == (theirs.network.keras, theirs.network.litert)
    assert taken.validation_mm != trained.validation_mm  # the lifter's, at least, differ
    assert taken.uncertainty != trained.uncertainty


def test_unreadable_meshes_are_skipped_and_reported(small_run, bodies, tmp_path, capfd):
    """Objects with a corrupted training or validation mesh are left out, and the report is renewed."""
    shutil.copytree(bodies, tmp_path / "corrupted")
    for name in ("body-00001", "body-00007"):
        (tmp_path / "corrupted" / "meshes" / f"{name}.ply").write_bytes(b"no mesh")
    evaluate(EvaluateConfig(run=str(small_run)))
    without = json.loads((small_run / "report" / "report.json").read_text())
    train_refiner(TrainRefinerConfig(run=str(small_run), dataset=str(tmp_path / "corrupted"), num_crops=NUM_CROPS))
    evaluate(EvaluateConfig(run=str(small_run)))
    renewed = json.loads((small_run / "report" / "report.json").read_text())
    messages = capfd.readouterr().err

    assert "mean shape: no prediction for 1 of 2 objects; the first: meshes/body-00001.ply" in messages
    assert "skipped object 1: meshes/body-00007.ply" in messages
    assert "refined" not in without["lifter"]["orthographic"]["test"]
    assert renewed["lifter"]["orthographic"]["test"]["refined"]["n"] == 2


def test_a_refiner_of_another_lifter_is_ignored(run, tmp_path, capfd):
    """Its first estimates are of a lifter that no longer exists."""
    for part in ("renders", "vectors", "lifter", "refiner"):
        shutil.copytree(run / part, tmp_path / part, ignore=shutil.ignore_patterns("perspective*"))
    lifter = tmp_path / "lifter" / "orthographic" / "lifter.json"
    lifter.write_text(lifter.read_text() + "\n")
    evaluate(EvaluateConfig(run=str(tmp_path)))
    report = json.loads((tmp_path / "report" / "report.json").read_text())

    assert "refined" not in report["lifter"]["orthographic"]["test"]
    assert "trained for another lifter" in capfd.readouterr().err


def test_wrong_input_is_rejected(run, plan, tmp_path):
    """The message names the missing step or the flag."""
    with pytest.raises(DataError, match="featurelib render"):
        train_refiner(TrainRefinerConfig(run=str(tmp_path)))
    with pytest.raises(UsageError, match="--reuse-networks orthographic: expected another projection"):
        train_refiner(TrainRefinerConfig(run=str(run), reuse_networks="orthographic"))
    with pytest.raises(UsageError, match="--num-crops 40: expected at least two batches of 32"):
        train_refiner(TrainRefinerConfig(run=str(run), num_crops=40))
    nothing = replace(plan, meshes=(MeshFile("gone.ply"),), landmarks_mm=plan.landmarks_mm[:1])
    assert list(nothing.batches(0)) == []
