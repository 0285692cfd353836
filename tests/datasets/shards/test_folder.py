from featurelib.datasets.shards.folder import Folder


def test_a_folder_knows_the_shards_of_a_bucket(spec):
    """Shards are found by their bucket, whatever their content."""
    names = ("manifest.json", "shard-00000-a.parquet", "shard-00001-a.parquet", "shard-00001-b.parquet")
    folder = Folder("", spec, dict.fromkeys(names, "tag"))

    assert folder.shards_of(1) == {"shard-00001-a.parquet", "shard-00001-b.parquet"}
    assert folder.shards_of(2) == frozenset()
