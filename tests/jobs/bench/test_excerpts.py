from collections import Counter

import pytest

from featurelib.datasets.shards import read_views
from jobs.bench.excerpts import repeat_shards, resize


@pytest.mark.parametrize("share", [0.4, 3.0])
def test_a_resized_manifest_counts_the_views_of_its_shards(manifest, share):
    """It has some of the shards or all of them repeatedly, and always validation views."""
    resized = resize(manifest, int(share * 2 * manifest.views["train"]))

    for split in ("train", "val"):
        assert resized.views[split] == sum(len(read_views(uri, split=split)) for uri in resized.shard_uris)
    assert resized.views["val"] > 0
    assert set(resized.shards) <= set(manifest.shards)


def test_repeated_shards_have_repeated_views(manifest):
    """A manifest with n times the samples names each shard n times and counts each split n times."""
    repeated = repeat_shards(manifest, 10 * 2 * manifest.views["train"])

    assert Counter(repeated.shards) == dict.fromkeys(manifest.shards, 10)
    assert repeated.views == {split: 10 * count for split, count in manifest.views.items()}
