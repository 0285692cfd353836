import shutil

from featurelib.datasets.content_tags import with_content_tags
from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.landmark_table import write_pairs
from featurelib.datasets.schemas import objects_schema


def test_content_tags_depend_on_the_content_alone(tmp_path):
    """A copied dataset has the same tags; a changed mesh changes its own only; a missing one has none."""
    folder, copy = tmp_path / "dataset", tmp_path / "copy"
    (folder / "meshes").mkdir(parents=True)
    (folder / "dataset.json").write_text('{"unit": "mm", "landmark": "tragus"}')
    (folder / "landmarks.csv").write_bytes(write_pairs(dict.fromkeys("abc", ((1, 2, 3), (-1, 2, 3)))))
    for name in ("a.PLY", "c.stl"):
        (folder / "meshes" / name).write_text(name)
    shutil.copytree(folder, copy)
    first = with_content_tags(open_dataset(str(folder)))
    second = with_content_tags(open_dataset(str(copy)))
    (copy / "meshes" / "c.stl").write_text("C.STL")
    third = with_content_tags(open_dataset(str(copy)))

    assert first.objects == second.objects
    assert first.objects.schema == objects_schema(2)
    tags, changed = (d.objects["mesh_tag"].to_pylist() for d in (first, third))
    assert tags[:2] == changed[:2]
    assert tags[1] is None
    assert tags[2] != changed[2]
