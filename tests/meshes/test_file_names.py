import pytest

from featurelib.datasets.dataset import objects_table
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet
from featurelib.meshes.file_names import split_mesh_name
from featurelib.runtime.storage import Entry

EAR = LandmarkSet.single_pair("ear")


@pytest.mark.parametrize(
    ("name", "object_id", "suffix"),
    [
        ("head.ply", "head", ".ply"),
        ("head.ply.gz", "head", ".ply.gz"),
        ("P01.v2.STL", "P01.v2", ".stl"),
        ("P01.v2.Ply.GZ", "P01.v2", ".ply.gz"),
        ("head.gz", "head", ".gz"),
        (".ply.gz", "", ".ply.gz"),
        ("head", "head", ""),
        ("head.", "head", "."),
        (".gz", "", ".gz"),
    ],
)
def test_a_name_is_an_id_and_an_ending(name, object_id, suffix):
    """Dots may be part of the id; .gz belongs to the ending before it."""
    assert split_mesh_name(name) == (object_id, suffix)


def test_the_object_of_a_packed_mesh_has_its_plain_name():
    """A dataset's table has `head` for head.ply.gz, and two files of one object are refused."""
    packed, plain = Entry("head.ply.gz", 1, "a"), Entry("head.stl", 1, "b")

    assert objects_table([packed], None, EAR).table["object_id"].to_pylist() == ["head"]
    with pytest.raises(DataError, match=r"head\.stl and head\.ply\.gz are both object head; keep one"):
        objects_table([packed, plain], None, EAR)
