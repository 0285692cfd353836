import pytest

from featurelib.meshes.file_names import split_mesh_name


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
