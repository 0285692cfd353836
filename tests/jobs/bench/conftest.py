import pytest

from featurelib.datasets.shards import open_renders


@pytest.fixture
def manifest(run):
    return open_renders(str(run), "orthographic")
