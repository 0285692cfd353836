from collections import defaultdict
from pathlib import Path

import numpy as np

from featurelib.datasets.shards import open_renders, read_views
from featurelib.geometry import Rig
from jobs.experiments.drivers.ablation import VARIANTS, _write_rig, split_by_view
from jobs.pipeline import PipelineConfig


def test_the_leaky_split_does_not_touch_the_test_objects(run, tmp_path):
    """Training and validation share objects; all other columns and the test split are unchanged."""
    original = open_renders(str(run), "orthographic")
    leaky = split_by_view(original, tmp_path / "leaky", seed=0)
    splits = defaultdict(set)
    for before, after in zip(original.shard_uris, leaky.shard_uris, strict=True):
        for old, new in zip(read_views(before), read_views(after), strict=True):
            assert {**old, "split": None} == {**new, "split": None}
            assert (old["split"] == "test") == (new["split"] == "test")
            splits[new["object_id"]].add(new["split"])

    assert sum(leaky.views.values()) == sum(original.views.values())
    assert any(found == {"train", "val"} for found in splits.values())


def test_rows_change_existing_flags(tmp_path):
    """Every row is a valid command, and its rigs are symmetric."""
    assert all(set(changes) <= set(PipelineConfig.__dataclass_fields__) for changes in VARIANTS.values())
    for count in (3, 5):
        rig = Rig.from_json(Path(_write_rig(tmp_path, count)).read_text())
        assert [view.azimuth_deg for view in rig.views] == np.linspace(-90, 90, count).tolist()
