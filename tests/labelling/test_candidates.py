"""Which objects may be named, from tables alone: no mesh is opened."""

import json

import pytest

from featurelib.datasets.splits import split_of
from featurelib.labelling.candidates import Candidates

IDS = [f"head-{i}" for i in range(8)]


@pytest.fixture
def dataset(tmp_path):
    """A dataset of eight objects, the first three of them with labels; its meshes are empty files."""
    (tmp_path / "meshes").mkdir()
    for object_id in IDS:
        (tmp_path / "meshes" / f"{object_id}.ply").touch()
    (tmp_path / "dataset.json").write_text(json.dumps({"unit": "mm", "landmarks": {"midline": ["nasion", "chin"]}}))
    rows = [f"{object_id},nasion,1,2,3" for object_id in IDS[:2]]
    (tmp_path / "landmarks.csv").write_text(
        "\n".join(["object_id,landmark,x,y,z,status", *(f"{row}," for row in rows), f"{IDS[2]},chin,,,,absent", ""])
    )
    return tmp_path


@pytest.fixture
def run(tmp_path):
    """A run that has recorded a test group."""
    (tmp_path / "run/renders").mkdir(parents=True)
    (tmp_path / "run/renders/splits.csv").write_text("group,split\nfamily,test\nhead-0,train\nhead-1,test\n")
    return str(tmp_path / "run")


def test_objects_without_any_label_are_candidates(dataset):
    """An object with one landmark, placed or absent, is labelled."""
    found = Candidates.of(str(dataset))

    assert found.labelled_ids == set(IDS[:3])
    assert found.ids == IDS[3:]
    assert found.test_ids == set()


def test_a_dataset_without_labels_has_candidates_only(dataset):
    (dataset / "landmarks.csv").unlink()

    found = Candidates.of(str(dataset))

    assert (found.labelled, found.labelled_ids, found.ids) == (None, set(), IDS)


def test_the_test_split_of_a_run_is_never_named(dataset, run):
    """Neither a group that is in it already, nor one that the user puts there; without a run all are named."""
    (dataset / "objects.csv").write_text(
        "object_id,group,split\nhead-4,family,\nhead-5,head-1,\nhead-6,,test\nhead-7,,train\n"
    )

    found = Candidates.of(str(dataset), run)

    assert found.ids == ["head-3", "head-7"]
    assert found.test_ids == {"head-1", "head-4", "head-5", "head-6"}
    assert Candidates.of(str(dataset)).ids == IDS[3:]


def test_a_run_without_a_record_tests_by_the_hash_of_names(dataset, tmp_path):
    """Such a run was rendered before splits were recorded, or has many groups."""
    folder = tmp_path / "run/renders/orthographic"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (dataset / "objects.csv").write_text("object_id,split\nhead-3,train\n")

    found = Candidates.of(str(dataset), str(tmp_path / "run"))

    assert found.ids == ["head-3", *(i for i in IDS[4:] if split_of(i) != "test")]
