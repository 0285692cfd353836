"""The whole path on a local Ray, and what must be true of a run."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.schemas import REJECTS, shard_schema, vectors_schema
from featurelib.datasets.shards import open_renders
from featurelib.datasets.synthetic import make_body
from featurelib.errors import DataError
from featurelib.geometry import PROJECTIONS
from jobs.evaluate import EvaluateConfig, evaluate
from jobs.pipeline import pipeline
from jobs.predict import PredictConfig, predict
from jobs.render import RenderConfig, render
from jobs.train_detector import TrainDetectorConfig, train_detector
from jobs.train_lifter import TrainLifterConfig, train_lifter
from jobs.train_refiner import TrainRefinerConfig, train_refiner
from jobs.vectorize import VectorizeConfig, vectorize


def snapshot(folder):
    """Return path, time of change and size of every file."""
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*") if path.is_file()}


def test_a_run_has_the_files_of_the_contract(run):
    """Every folder says what made it, and every table has the documented columns."""
    for projection in PROJECTIONS:  # perspective is rendered alone: training it too is a slow test
        manifest = open_renders(str(run), projection)

        assert manifest.objects == {"train": 10, "val": 2, "test": 2}
        assert manifest.views == {"train": 90, "val": 18, "test": 18}
        for uri in manifest.shard_uris:
            assert shard_schema(manifest.landmarks).equals(pq.read_schema(uri).remove_metadata())
        renders = run / "renders" / projection
        assert REJECTS.equals(pq.read_schema(renders / "rejects.parquet"))
        assert (renders / "config.json").is_file()
    assert_trained(run, "orthographic")


def assert_trained(run, projection):
    """The steps after the rendering have written what the contract says."""
    landmarks = open_renders(str(run), projection).landmarks
    assert vectors_schema(landmarks, 9).equals(
        pq.read_schema(run / "vectors" / f"{projection}.parquet").remove_metadata()
    )
    for step in ("detector", "lifter", "refiner"):
        assert (run / step / projection / "config.json").is_file()
    for name in ("model.keras", "metrics.csv"):
        assert (run / "detector" / projection / name).is_file()
    for name in ("report.json", "report.html", "per_object.csv"):
        assert (run / "report" / name).is_file()


def test_the_report_has_the_contracts_keys(run):
    """Detector, lifter and baselines stand beside each other, with finite figures."""
    assert_reported(run, ("orthographic",))


def rewritten(run, folder):
    """A copy of a run whose manifests say that an earlier version wrote it."""
    copy = shutil.copytree(run, folder / "earlier")
    for manifest in copy.glob("renders/*/manifest.json"):
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"schema": 1}))
    return copy


STEPS = {
    "render": lambda run, bodies: render(RenderConfig(dataset=str(bodies), run=run, image_size=128)),
    "train-detector": lambda run, _: train_detector(TrainDetectorConfig(run=run, projection="orthographic")),
    "vectorize": lambda run, _: vectorize(VectorizeConfig(run=run, projection="orthographic")),
    "train-lifter": lambda run, _: train_lifter(TrainLifterConfig(run=run, projection="orthographic")),
    "train-refiner": lambda run, _: train_refiner(TrainRefinerConfig(run=run, projection="orthographic")),
    "evaluate": lambda run, _: evaluate(EvaluateConfig(run=run)),
    "predict": lambda run, bodies: predict(PredictConfig(dataset=str(bodies), run=run, out=f"{run}/predictions")),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_run_of_an_earlier_version_is_refused(cluster, run, bodies, tmp_path, step):
    """Every step says in one line who wrote it and what to do, also where its own folder is complete."""
    earlier = rewritten(run, tmp_path)
    before = snapshot(earlier)

    with pytest.raises(
        DataError, match=r"manifest\.json: written by another version .* run the pipeline again"
    ) as error:
        STEPS[step](str(earlier), bodies)
    assert "\n" not in str(error.value)
    assert snapshot(earlier).keys() == before.keys() | {earlier / "renders" / "inputs.parquet"}


def assert_reported(run, projections):
    """The report has the keys of the contract for these projections."""
    report = json.loads((run / "report" / "report.json").read_text())

    assert report["schema"] == 1
    assert report["objects"] == {"train": 10, "val": 2, "test": 2}
    assert set(report["lifter"]) == set(projections)
    for projection in projections:
        assert report["frame_mm"][projection] > 100
        detector, lifter = report["detector"][projection]["test"], report["lifter"][projection]
        assert {"mean", "median", "p95"} == set(detector["error_pct_width"])
        assert {str(view) for view in range(9)} == set(detector["by_view"])
        assert {"mlp", "triangulation", "mean_point", "template", "refined"} <= set(lifter["test"])
        assert lifter["chosen"] in {*lifter["test"]} - {"mean_point", "template"}
        for scores in lifter["test"].values():
            assert scores["n"] == 2
            assert all(math.isfinite(value) for value in scores["error_mm"].values())


def test_targets_are_the_bodies_own_millimetres(run, bodies):
    """Unit, quaternions and scale of dataset.json bring the labels back to the object frame they were made in."""
    table, landmarks = pq.read_table(run / "vectors" / "orthographic.parquet"), open_dataset(str(bodies)).landmarks

    for object_id, target in zip(table["object_id"].to_pylist(), table["target_mm"].to_pylist(), strict=True):
        body = make_body(np.random.default_rng([0, int(object_id.rpartition("-")[2])]), landmarks=landmarks)
        found_mm = np.reshape(target, body.landmarks_mm.shape)
        known = np.isfinite(found_mm)
        assert known.mean() > 0.8
        # the labels are written to 1e-4 inch
        np.testing.assert_allclose(found_mm[known], body.landmarks_mm[known], atol=2e-3)


def test_a_finished_pipeline_run_again_writes_nothing(run, recipe):
    """Each step sees that its inputs and its configuration are what they were."""
    before = snapshot(run)
    pipeline(recipe)

    assert before == snapshot(run)


@pytest.mark.slow
def test_both_projections_end_in_one_report(run, recipe, tmp_path):
    """The second projection is added to a copy of the run; what was done stays as it was."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    pipeline(replace(recipe, run=str(copy), projections=PROJECTIONS))

    for projection in PROJECTIONS:
        assert_trained(copy, projection)
    assert_reported(copy, PROJECTIONS)
    assert (copy / "detector/orthographic/model.keras").read_bytes() == (
        run / "detector/orthographic/model.keras"
    ).read_bytes()


def test_two_renderings_are_the_same_to_the_byte(run, cluster, bodies, tmp_path):
    """Names are a function of the inputs and bytes a function of the names."""
    render(RenderConfig(dataset=str(bodies), run=str(tmp_path), image_size=128))

    for projection in PROJECTIONS:
        first, second = (sorted((root / "renders" / projection).glob("shard-*")) for root in (run, tmp_path))
        assert [path.name for path in first] == [path.name for path in second]
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.fixture
def corrupted(bodies, tmp_path):
    """The bodies, with one mesh of random bytes and one that is missing."""
    folder = tmp_path / "corrupted"
    shutil.copytree(bodies, folder)
    (folder / "meshes" / "body-00004.ply").write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / "meshes" / "body-00005.ply").unlink()
    return folder


def test_a_bad_mesh_is_rejected_with_its_reason_and_the_rest_is_rendered(cluster, corrupted, tmp_path):
    """Objects in are objects rendered plus objects rejected; the job ends normally."""
    render(RenderConfig(dataset=str(corrupted), run=str(tmp_path), projections=("orthographic",), image_size=64))
    rejects = pq.read_table(tmp_path / "renders" / "orthographic" / "rejects.parquet").to_pylist()

    assert [row["object_id"] for row in rejects] == ["body-00004", "body-00005"]
    assert [row["stage"] for row in rejects] == ["load", "load"]
    assert "meshes/body-00004.ply" in rejects[0]["reason"]
    assert "no mesh file" in rejects[1]["reason"]
    assert sum(open_renders(str(tmp_path), "orthographic").objects.values()) == 12


def test_an_interrupted_rendering_goes_on(cluster, bodies, tmp_path):
    """What a killed run left is kept: only the missing shard is made again, and the result is the same."""
    config = RenderConfig(dataset=str(bodies), run=str(tmp_path), projections=("orthographic",), image_size=64)
    render(config)
    folder = tmp_path / "renders" / "orthographic"
    (folder / "manifest.json").unlink()
    whole = snapshot(folder)
    lost = sorted(folder.glob("shard-*"))[0]
    content = lost.read_bytes()
    lost.unlink()
    render(config)

    assert content == lost.read_bytes()
    kept = {path: state for path, state in snapshot(folder).items() if path in whole and path != lost}
    assert {p: s for p, s in whole.items() if p.name.startswith("shard") and p != lost}.items() <= kept.items()
    assert (folder / "manifest.json").is_file()


def test_another_configuration_is_refused_without_overwrite(cluster, bodies, tmp_path):
    """Images of two sizes never mix in one run."""
    config = RenderConfig(dataset=str(bodies), run=str(tmp_path), projections=("orthographic",), image_size=64)
    render(config)
    other = {**vars(config), "image_size": 96}
    with pytest.raises(Exception, match=r"image_size 64, not 96; --overwrite"):
        render(RenderConfig(**other))
    render(RenderConfig(**{**other, "overwrite": True}))

    assert open_renders(str(tmp_path), "orthographic").spec.image_size == 96
    assert {p.name for p in (tmp_path / "renders/orthographic").glob("shard-*")} == set(
        open_renders(str(tmp_path), "orthographic").shards
    )


def test_a_changed_mesh_renders_its_own_shard_again_and_no_other(cluster, corrupted, tmp_path):
    """A shard's name carries its members' content."""
    config = RenderConfig(
        dataset=str(corrupted), run=str(tmp_path), projections=("orthographic",), image_size=64, frame_mm=500
    )
    render(config)
    before = set(open_renders(str(tmp_path), "orthographic").shards)
    mended = make_body(np.random.default_rng([0, 4]))
    import trimesh

    trimesh.Trimesh(mended.vertices_mm, mended.faces, process=False).export(corrupted / "meshes" / "body-00004.ply")
    render(config)
    after = set(open_renders(str(tmp_path), "orthographic").shards)

    assert 1 == len(after - before) == len(before - after)


def test_steps_out_of_order_say_what_is_missing(tmp_path):
    """Each step names the command that makes its input."""
    with pytest.raises(Exception, match="featurelib render"):
        train_detector(TrainDetectorConfig(run=str(tmp_path)))
    with pytest.raises(Exception, match="featurelib train-lifter"):
        evaluate(EvaluateConfig(run=str(tmp_path)))
