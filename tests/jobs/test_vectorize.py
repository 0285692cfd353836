"""The vectors of a landmark set, by both heads; and the distribution of shards over the detector's tasks."""

import csv
import io
import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featurelib.datasets.objects_table import write_objects
from featurelib.datasets.shards import open_renders, read_views
from featurelib.datasets.synthetic import LANDMARKS, write_dataset
from featurelib.errors import DataError
from featurelib.models.detector.heads import HEADS
from featurelib.models.detector.samples import near_landmarks
from featurelib.models.lifter.vectors import read_vectors, vectors_uri
from jobs.drivers.vectorize import MAX_SHARDS_PER_TASK, task_sizes
from jobs.render import RenderConfig, render
from jobs.train_detector import TrainDetectorConfig, train_detector
from jobs.vectorize import VectorizeConfig, vectorize

MIXED = replace(LANDMARKS, midline=("nose_tip",), unpaired=("chin",))
"""Two pairs, one midline and one unpaired landmark."""

SPLITS = ["val", "test", "train", "train", "train"]

UNLABELLED = {("body-00001", "ear_tip_left"), ("body-00002", "nose_tip"), ("body-00003", "eye_corner_right")}
ABSENT = ("body-00004", "chin")


@pytest.fixture(scope="module")
def renders(cluster, tmp_path_factory):
    """A run with renders of bodies whose labels are incomplete."""
    folder = tmp_path_factory.mktemp("mixed")
    write_dataset(folder / "bodies", len(SPLITS), landmarks=MIXED)
    table = folder / "bodies" / "landmarks.csv"
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    lines = ["object_id,landmark,x,y,z,status"]
    for row in rows:
        key = (row["object_id"], row["landmark"])
        if key == ABSENT:
            lines.append(f"{','.join(key)},,,,absent")
        elif key not in UNLABELLED:
            lines.append(",".join((*key, row["x"], row["y"], row["z"], "")))
    table.write_text("\n".join(lines) + "\n")
    ids = sorted({row["object_id"] for row in rows})
    extras = {object_id: (None, split) for object_id, split in zip(ids, SPLITS, strict=True)}
    (folder / "bodies" / "objects.csv").write_bytes(write_objects(extras))
    render(
        RenderConfig(
            dataset=str(folder / "bodies"),
            run=str(folder / "run"),
            projections=("orthographic",),
            image_size=64,
            backend="raster",
        )
    )
    return folder / "run"


@pytest.fixture(scope="module", params=HEADS)
def mixed_run(renders, request, tmp_path_factory):
    """The head's name, and a run with its detector and vectors."""
    run = tmp_path_factory.mktemp(request.param)
    shutil.copytree(renders / "renders", run / "renders")
    flags = {"weights": "none", "input_size": 64, "batch_size": 8, "epochs": 1}
    train_detector(TrainDetectorConfig(run=str(run), head=request.param, **flags))
    vectorize(VectorizeConfig(run=str(run)))
    return request.param, run


def views_of(manifest, object_id):
    """Return the rows of an object in rig order."""
    rows = read_views(manifest.shard_of(object_id), object_id=object_id)
    return sorted(rows, key=lambda row: row["view"])


def test_vectors_have_the_labels_of_the_shards(mixed_run):
    """Landmarks, true positions and absent landmarks are those of the renders; what is not labelled is NaN."""
    _, run = mixed_run
    manifest, vectors = open_renders(str(run), "orthographic"), read_vectors(str(run), "orthographic")

    assert vectors.landmarks == manifest.landmarks == MIXED
    for i, object_id in enumerate(vectors.object_ids):
        views = views_of(manifest, str(object_id))
        expected_mm = np.array(views[0]["landmarks_mm"]).reshape(-1, 3)
        np.testing.assert_allclose(vectors.landmarks_mm[i], expected_mm, rtol=1e-6)
        assert vectors.absent[i].tolist() == views[0]["landmarks_absent"]
        missing = {name for name in MIXED.names if np.isnan(vectors.landmarks_mm[i, MIXED.index[name]]).any()}
        assert missing == {name for key, name in (*UNLABELLED, ABSENT) if key == object_id}
        true_xy = np.array([view["landmarks_xy"] for view in views]).reshape(9, -1, 2)
        near = near_landmarks(np.array([view["near"] for view in views]), MIXED)
        for slot, view in itertools.product(range(4), range(9)):
            expected = np.full(2, np.nan) if near[view, slot] < 0 else true_xy[view, near[view, slot]]
            np.testing.assert_array_equal(vectors.xy_true[i, slot, view], expected)


def test_every_slot_has_a_detected_position_in_every_view(mixed_run):
    """Also where a label is missing: then that of the side which the view shows."""
    head, run = mixed_run
    manifest, vectors = open_renders(str(run), "orthographic"), read_vectors(str(run), "orthographic")

    assert ((vectors.xy >= 0) & (vectors.xy <= 1)).all()
    assert (np.isnan(vectors.landmarks_xy) == (head == "regression")).all()
    for i, object_id in enumerate(vectors.object_ids):
        near = np.array([view["near"] for view in views_of(manifest, str(object_id))])
        in_view = [[int(view.near_side == "right")] for view in manifest.spec.rig.views]
        chosen = near_landmarks(np.where(near < 0, in_view, near), MIXED)
        seen = np.take_along_axis(vectors.seen_xy[i], chosen[..., None], axis=1)
        np.testing.assert_array_equal(seen.swapaxes(0, 1), vectors.xy[i])


def test_complete_vectors_are_not_written_again(mixed_run):
    """The second run leaves the file as it is."""
    _, run = mixed_run
    path = Path(vectors_uri(str(run), "orthographic"))
    before = path.stat().st_mtime_ns
    vectorize(VectorizeConfig(run=str(run)))

    assert path.stat().st_mtime_ns == before


def test_a_detector_of_another_set_is_not_used(mixed_run, tmp_path):
    """One line names the difference and the command."""
    _, run = mixed_run
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / "renders" / "orthographic" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["config"]["landmarks"]["midline"] = ["nose_tip", "brow"]
    path.write_text(json.dumps(manifest))

    with pytest.raises(
        DataError, match=r"trained on another landmark set, .*; run `featurelib train-detector"
    ) as error:
        vectorize(VectorizeConfig(run=str(tmp_path / "run")))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("shards", "workers"), [(1, 4), (7, 2), (32, 2), (400, 16), (65_536, 64)])
def test_every_shard_is_in_one_task_and_the_last_tasks_are_small(shards, workers):
    """Tasks become smaller; the last one has one shard."""
    sizes = task_sizes(shards, workers)

    assert sum(sizes) == shards
    assert all(before >= after for before, after in itertools.pairwise(sizes))
    assert 1 <= min(sizes) <= max(sizes) <= MAX_SHARDS_PER_TASK
    assert sizes[-1] == 1


def test_a_task_takes_a_workers_share_of_half_of_the_remaining_shards():
    sizes = task_sizes(32, 2)

    assert sizes[:4] == [8, 6, 4, 3]
