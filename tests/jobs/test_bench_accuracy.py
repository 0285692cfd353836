"""What the measurements of accuracy are made on; the trainings that they start are tested where they belong."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.shards import open_renders, read_views
from featurelib.errors import DataError
from featurelib.geometry import Rig
from featurelib.models.predictions import PREDICTIONS
from jobs.experiments.ablation import VARIANTS, _write_rig, split_by_view
from jobs.experiments.holdout import HoldoutConfig, errors_mm, holdout
from jobs.experiments.learning_curve import write_excerpt
from jobs.pipeline import PipelineConfig


def excerpt(bodies, count, folder):
    """Return the splits of the objects of an excerpt by id."""
    write_excerpt(str(bodies), open_dataset(str(bodies)).objects, count, folder)
    table = open_dataset(str(folder)).objects
    return dict(zip(table["object_id"].to_pylist(), table["split"].to_pylist(), strict=True))


def test_fewer_labels_are_among_more_and_the_test_objects_stay(bodies, tmp_path):
    """What changes along the curve is the number of labels alone."""
    whole = open_dataset(str(bodies)).objects
    test_ids = {row["object_id"] for row in whole.to_pylist() if row["split"] == "test"}
    few, more = (excerpt(bodies, count, tmp_path / str(count)) for count in (5, 10))

    for splits, count in ((few, 5), (more, 10)):
        assert {object_id for object_id, split in splits.items() if split == "test"} == test_ids
        assert [list(splits.values()).count(split) for split in ("val", "train")] == [2, count - 2]
    assert few.keys() < more.keys()


def test_an_excerpt_keeps_labels_and_meshes(bodies, tmp_path):
    """The points are the dataset's, and the meshes load."""
    excerpt(bodies, 5, tmp_path)
    whole, part = (open_dataset(str(folder)) for folder in (bodies, tmp_path))
    points = {row["object_id"]: (row["left"], row["right"]) for row in whole.objects.to_pylist()}

    assert all(points[row["object_id"]] == (row["left"], row["right"]) for row in part.objects.to_pylist())
    assert part.load(next(iter(part.files.values()))).faces.size


@pytest.mark.parametrize("count", [2, 13])
def test_an_impossible_number_of_labels_is_one_line(bodies, tmp_path, count):
    with pytest.raises(DataError, match=f"--labels {count}: expected 3 to 12"):
        excerpt(bodies, count, tmp_path)


def test_the_leaky_split_leaks_and_spares_the_test_objects(run, tmp_path):
    """Views of one object are on both sides of validation, and nothing else has changed."""
    honest = open_renders(str(run), "orthographic")
    leaky = split_by_view(honest, tmp_path / "leaky", seed=0)
    splits = defaultdict(set)
    for before, after in zip(honest.shard_uris, leaky.shard_uris, strict=True):
        for old, new in zip(read_views(before), read_views(after), strict=True):
            assert {**old, "split": None} == {**new, "split": None}
            assert (old["split"] == "test") == (new["split"] == "test")
            splits[new["object_id"]].add(new["split"])

    assert sum(leaky.views.values()) == sum(honest.views.values())
    assert any(found == {"train", "val"} for found in splits.values())


def test_rows_change_flags_that_there_are(tmp_path):
    """Every row is a command that a user can give, and the rigs are symmetric ones."""
    assert all(set(changes) <= set(PipelineConfig.__dataclass_fields__) for changes in VARIANTS.values())
    for count in (3, 5):
        rig = Rig.from_json(Path(_write_rig(tmp_path, count)).read_text())
        assert [view.azimuth_deg for view in rig.views] == np.linspace(-90, 90, count).tolist()


def test_errors_are_millimetres_whatever_the_unit(bodies):
    """Predictions off by a known length in the source's unit are off by as many mm; no answer is no error."""
    dataset = open_dataset(str(bodies))
    rows = []
    for row in dataset.objects.to_pylist()[:2]:
        left, right = np.add(row["left"], (0.1, 0, 0)), [None] * 3
        values = dict(zip(("left_x", "left_y", "left_z"), left, strict=True))
        values |= dict(zip(("right_x", "right_y", "right_z"), right, strict=True))
        sure = {"left_sigma_mm": 1.0, "right_sigma_mm": None, "accepted": True, "reason": ""}
        rows.append({"object_id": row["object_id"], **values, **sure})
    found = errors_mm(dataset, pa.Table.from_pylist(rows, schema=PREDICTIONS))

    assert np.allclose(found[:, 0], 0.1 * 25.4 * dataset.alignment.scale)
    assert np.isnan(found[:, 1]).all()


def test_unseen_objects_are_predicted_and_compared(cluster, run, bodies, tmp_path, capsys):
    """All objects are counted, and the accepted and the rejected ones add up."""
    holdout(HoldoutConfig(dataset=str(bodies), run=str(run), out=str(tmp_path)))

    lines = capsys.readouterr().out.splitlines()
    counts = {line.split()[0]: int(line.split()[1]) for line in lines if line.startswith(("all", "acc", "rej"))}
    assert counts["all"] == counts["accepted"] + counts["rejected"] == 14
    assert any(line.startswith("within 1.87 sigma, 68 % of a Gaussian") for line in lines) == (counts["accepted"] > 0)
