"""`pipeline --folds`: every object is predicted once by models that have not seen it, and kills cost only a step."""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.folds import Folds
from featurelib.datasets.shards import Manifest, RenderSpec, open_renders
from featurelib.datasets.synthetic import EAR_TIPS, write_dataset
from featurelib.errors import DataError, UsageError
from featurelib.geometry import DEFAULT_RIG, Alignment, apply
from featurelib.models.lifter.vectors import read_vectors
from featurelib.models.predictions import predicted_objects
from jobs.drivers.fold_report import FOLD_PREDICTIONS
from jobs.drivers.folds import fold_config
from jobs.evaluate import EvaluateConfig, evaluate
from jobs.experiments.drivers.folds import chosen, of_folds, of_fresh, print_outcomes, write_excerpt
from jobs.pipeline import PipelineConfig, pipeline
from jobs.predict import PredictConfig, predict
from jobs.train_lifter import TrainLifterConfig, train_lifter
from jobs.vectorize import VectorizeConfig, vectorize
from jobs.workers.leakage import audit_renders

COUNT, OBJECTS, PROJECTION = 3, 12, "orthographic"
FLAGS = {"image_size": 128, "input_size": 64, "weights": "none", "epochs": 2, "batch_size": 16, "refiner_crops": 64}


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    """Twelve bodies in seven groups, without a split."""
    folder = tmp_path_factory.mktemp("scans")
    write_dataset(folder, OBJECTS)
    rows = [f"body-{i:05d},family-{min(i, 6)}" for i in range(OBJECTS)]
    (folder / "objects.csv").write_text("\n".join(["object_id,group", *rows]))
    return folder


@pytest.fixture(scope="module")
def recipe(scans, tmp_path_factory) -> PipelineConfig:
    """The flags of the fixture `folded`."""
    run = str(tmp_path_factory.mktemp("folded"))
    return PipelineConfig(dataset=str(scans), run=run, projections=(PROJECTION,), folds=COUNT, **FLAGS)


@pytest.fixture(scope="module")
def killed(recipe) -> dict[Path, int]:
    """What a pipeline has finished that is killed after its first detector: each marker and its time of change."""
    flags = [part for name, value in FLAGS.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "featurelib", "pipeline", "--dataset", recipe.dataset, "--run", recipe.run]
    command += ["--projections", PROJECTION, "--folds", str(COUNT), *flags]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while not (found := list(Path(recipe.run, "folds").glob("*/detector/*/config.json"))) and driver.poll() is None:
        time.sleep(0.05)
    driver.kill()
    driver.wait()
    return {path: path.stat().st_mtime_ns for path in found}


@pytest.fixture(scope="module")
def folded(cluster, recipe, killed) -> Path:
    """A run in folds that was killed once and then finished by the same command."""
    pipeline(recipe)
    return Path(recipe.run)


@pytest.fixture(scope="module")
def folds(folded) -> Folds:
    """The folds of the run."""
    rows = pq.read_table(folded / "folds" / "predictions.parquet").to_pylist()
    return Folds(str(folded), COUNT, {row["object_id"]: row["fold"] for row in rows})


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_what_was_finished_before_a_kill_is_kept(folded, killed):
    """A finished detector is not trained again, and a third run writes nothing."""
    assert killed
    assert {path: path.stat().st_mtime_ns for path in killed} == killed


@pytest.mark.slow
def test_a_finished_run_again_writes_nothing(folded, recipe):
    """Each step of each fold, and of the final models, sees that its inputs are what they were."""
    before = times(folded)
    pipeline(recipe)

    assert times(folded) == before


@pytest.mark.slow
def test_every_object_is_predicted_once_by_models_that_have_not_seen_its_group(folded, folds, scans):
    """An object's fold is the one whose models have its whole group in the test split."""
    table = pq.read_table(folded / "folds" / "predictions.parquet")
    groups = dict(zip(*(open_dataset(str(scans)).objects[c].to_pylist() for c in ("object_id", "group")), strict=True))

    assert FOLD_PREDICTIONS.equals(table.schema.remove_metadata())
    keys = list(zip(table["object_id"].to_pylist(), table["landmark"].to_pylist(), strict=True))
    assert len(keys) == len(set(keys)) == 2 * OBJECTS
    assert folds.fold_of.keys() == groups.keys()
    for fold, run in enumerate(folds.runs):
        manifest = open_renders(run, PROJECTION)
        audit_renders(manifest, splits=("train", "val", "test"))
        splits = manifest.splits
        assert {object_id for object_id, split in splits.items() if split == "test"} == {
            object_id for object_id, of_one in folds.fold_of.items() if of_one == fold
        }
        assert len({(groups[object_id], split) for object_id, split in splits.items()}) == len({*groups.values()})
        vectors = read_vectors(run, PROJECTION)
        assert dict(zip(vectors.object_ids, vectors.splits, strict=True)) == splits


@pytest.mark.slow
def test_the_images_are_shared(folded, folds):
    """A fold has a manifest and no shard; its run works after the whole run has moved."""
    for run in folds.runs:
        assert [path.name for path in Path(run, "renders").rglob("*") if path.is_file()] == ["manifest.json"]
        uris = open_renders(run, PROJECTION).shard_uris
        assert uris == open_renders(str(folded), PROJECTION).shard_uris


@pytest.mark.slow
def test_the_report_is_of_all_objects(folded, folds, scans):
    """Its errors are those of the predictions, and it tells that the final models are others."""
    report = json.loads((folded / "report" / "report.json").read_text())
    lifter = report["lifter"][PROJECTION]
    outcome = of_folds(scans, folded)

    assert report["objects"] == {"train": 4, "val": 4, "test": OBJECTS}
    assert report["folds"] == {"objects": folds.sizes, "final": True}
    assert lifter["test"][lifter["chosen"]]["n"] == OBJECTS
    assert lifter["test"][lifter["chosen"]]["error_mm"]["mean"] == pytest.approx(outcome.errors_mm.mean())
    assert report["audit"] == {"leaks": [], "near_duplicates": []}
    page = (folded / "report" / "report.html").read_text()
    assert "12 objects in 3 folds" in page
    assert "Error bars of 95 % need 32 objects" in page
    assert "trained on all these objects" in page


@pytest.mark.slow
def test_final_models_are_trained_on_every_object(folded, folds, scans, tmp_path):
    """Their validation objects are all objects, by the vectors of the folds; they predict like those of any run."""
    vectors = read_vectors(str(folded), PROJECTION)
    assert set(vectors.splits) == {"every"}
    for fold, run in enumerate(folds.runs):
        own = read_vectors(run, PROJECTION).where("test")
        rows = np.isin(vectors.object_ids, own.object_ids)
        np.testing.assert_array_equal(vectors.take(np.flatnonzero(rows)).xy, own.xy)
        assert set(folds.numbers(own.object_ids)) == {fold}
    for step in ("detector", "lifter", "refiner"):
        assert "folds" in json.loads((folded / step / PROJECTION / "config.json").read_text())
    numbers = json.loads((folded / "lifter" / PROJECTION / "lifter.json").read_text())
    assert numbers["folds"] == COUNT
    assert numbers["uncertainty"]["bars"]["num_objects"] == OBJECTS
    predict(PredictConfig(dataset=str(scans), run=str(folded), out=str(tmp_path)))
    assert np.isfinite(of_fresh(scans, tmp_path).errors_mm).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda run: evaluate(EvaluateConfig(run=run)), "gathered from folds"),
        (lambda run: vectorize(VectorizeConfig(run=run)), "trained on every object"),
        (lambda run: train_lifter(TrainLifterConfig(run=run)), "gathered from folds"),
    ],
)
def test_a_single_step_does_not_take_seen_objects_for_unseen_ones(folded, step, words):
    """The models of the run have seen every object, so none of its objects is for validation; nothing is written."""
    before = times(folded)

    with pytest.raises(DataError, match=words):
        step(str(folded))
    assert times(folded) == before


@pytest.mark.slow
def test_a_fold_is_a_run_of_its_own(folded, folds, tmp_path):
    """It is evaluated and predicts like any run, also in a copy of the whole run."""
    copy = shutil.copytree(folded, tmp_path / "copy")
    evaluate(EvaluateConfig(run=str(copy / "folds" / "1")))

    report = json.loads((copy / "folds" / "1" / "report" / "report.json").read_text())
    assert report["objects"] == {"test": folds.sizes[1], "train": folds.sizes[0], "val": folds.sizes[2]}


def test_a_fold_takes_its_share_of_steps_and_crops():
    """Three folds of a small set take half of a training's pictures each; its steps are counted on fewer views."""
    spec = RenderSpec("mm", Alignment(), PROJECTION, 200.0, 64, DEFAULT_RIG, "raster")
    manifest = Manifest("/run/renders", "scans", EAR_TIPS, spec, {"train": 12}, {"train": 108}, 0, 1, ("shard-0",))
    folds = Folds("/run", COUNT, {f"body-{i:05d}": i % COUNT for i in range(OBJECTS)})
    config = PipelineConfig(dataset="scans", run="/run", folds=COUNT, epochs=40, refiner_crops=10_000)

    of_fold = fold_config(config, folds, 1, manifest, 1)

    assert (of_fold.run, of_fold.folds, of_fold.refiner_crops) == (folds.runs[1], None, 5_000)
    steps = of_fold.epochs * manifest.with_splits(folds.splits(1)).views["train"]
    assert steps == 40 * manifest.with_splits(folds.final_splits).views["train"] / 2
    regression = replace(config, head="regression", epochs=None)
    assert fold_config(regression, folds, 1, manifest, 1).frozen_epochs == 15 * 90 // 60


def test_folds_that_cannot_be_dealt_end_before_anything_is_rendered(scans, bodies, tmp_path):
    """The message names the number, or the column that holds objects back."""
    config = PipelineConfig(dataset=str(scans), run=str(tmp_path / "run"), folds=8)
    with pytest.raises(UsageError, match="--folds 8: expected 3 or more, and at most one for each of the 7 groups"):
        pipeline(config)
    with pytest.raises(DataError, match="fix the `split` of some objects, but --folds deals all objects"):
        pipeline(replace(config, dataset=str(bodies), folds=3))
    assert not (tmp_path / "run").exists()


def test_the_experiment_divides_a_dataset(scans, tmp_path, capsys):
    """Its two choices share no object, their labels are the dataset's, and groups have the given size."""
    dataset = open_dataset(str(scans))
    some, fresh = chosen(dataset, 7, 5)
    write_excerpt(dataset, some, tmp_path, 3)
    excerpt = open_dataset(str(tmp_path))

    assert {row["object_id"] for row in [*some, *fresh]} == {*dataset.objects["object_id"].to_pylist()}
    assert len({*excerpt.objects["group"].to_pylist()}) == 3
    assert not excerpt.has_fixed_splits
    labels = {row["object_id"]: row["landmarks"] for row in some}
    assert {row["object_id"]: row["landmarks"] for row in excerpt.objects.to_pylist()} == labels
    assert len(excerpt.files) == 7
    with pytest.raises(DataError, match="12 objects; --objects 10 --fresh 3 need 13"):
        chosen(dataset, 10, 3)


def test_predictions_of_folds_are_in_the_object_frame(bodies, tmp_path, capsys):
    """True points, written in mm in the object frame, have no error in a dataset of inches with rotations."""
    import pyarrow as pa

    dataset = open_dataset(str(bodies))
    rows = []
    for row in dataset.objects.to_pylist()[:2]:
        points = apply(dataset.object_from_source_of(row["rotation_wxyz"]), np.reshape(row["landmarks"], (-1, 3)))
        for name, point in zip(dataset.landmarks.names, points, strict=True):
            place = {"object_id": row["object_id"], "landmark": name, **dict(zip("xyz", point.tolist(), strict=True))}
            rows.append({**place, "sigma_mm": 1.0, "present": True, "accepted": True, "reason": "", "fold": 0})
    (tmp_path / "folds").mkdir()
    table = pa.Table.from_pylist(rows, schema=FOLD_PREDICTIONS)
    pq.write_table(table, tmp_path / "folds" / "predictions.parquet")

    outcome = of_folds(bodies, tmp_path)

    np.testing.assert_allclose(outcome.errors_mm, 0, atol=1e-9)
    assert predicted_objects(table, 2).object_ids == [row["object_id"] for row in dataset.objects.to_pylist()[:2]]
    print_outcomes({"folds": outcome}, {"one training": 5.0})
    assert "100.0    100.0" in capsys.readouterr().out
