import json
import shutil

import numpy as np
import pytest
import trimesh

from featurelib.datasets.alignment_table import write_rotations
from featurelib.datasets.dataset import MeshFile, open_dataset
from featurelib.datasets.dataset_json import set_values
from featurelib.datasets.landmark_table import WIDE, write_landmarks
from featurelib.datasets.objects_table import write_objects
from featurelib.datasets.schemas import objects_schema
from featurelib.datasets.splits import split_of
from featurelib.datasets.synthetic import write_dataset
from featurelib.errors import DataError
from featurelib.geometry import Alignment, LandmarkSet, apply, matrix_from_wxyz, rigid

HEADER = ",".join(WIDE)
SETTINGS = {"unit": "cm", "landmark": "tragus"}
TRAGUS = LandmarkSet.single_pair("tragus")
QUARTER_TURN = [0.5**0.5, 0.5**0.5, 0.0, 0.0]
"""About x, y to z."""


def row(object_id: str, *more: str) -> str:
    """A row with the landmarks (1, 2, 3) and (-1, 2, 3)."""
    return ",".join([object_id, "1", "2", "3", "-1", "2", "3", *more])


@pytest.fixture
def folder(tmp_path):
    """Three objects a, b, c; the mesh files are empty, since reading a dataset opens none."""
    (tmp_path / "meshes").mkdir()
    for name in ("b.ply", "a.PLY", "c.stl"):
        (tmp_path / "meshes" / name).touch()
    (tmp_path / "dataset.json").write_text(json.dumps(SETTINGS))
    write_rows(tmp_path, [HEADER, row("c"), row("a"), row("b")])
    return tmp_path


def write_rows(folder, rows: list[str]) -> None:
    (folder / "landmarks.csv").write_text("".join(f"{row}\n" for row in rows))


def settings(folder, **changes) -> None:
    (folder / "dataset.json").write_text(json.dumps({**SETTINGS, **changes}))


def refusal(folder, *, labelled: bool = True) -> str:
    """The error message of opening the dataset; it is one line."""
    with pytest.raises(DataError) as error:
        open_dataset(str(folder), labelled=labelled)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_dataset_is_one_table_sorted_by_id(folder):
    """Each labelled object is one row: its file, its own name as group, and both landmarks as in the file."""
    dataset = open_dataset(str(folder))

    rows = dataset.objects.to_pylist()
    assert dataset.objects.schema == objects_schema(2)
    assert (dataset.uri, dataset.unit, dataset.landmarks) == (
        str(folder),
        "cm",
        TRAGUS,
    )
    assert [(row["object_id"], row["mesh"], row["group"]) for row in rows] == [
        ("a", "a.PLY", "a"),
        ("b", "b.ply", "b"),
        ("c", "c.stl", "c"),
    ]
    assert all((row["landmarks"], row["absent"]) == ([1, 2, 3, -1, 2, 3], [False, False]) for row in rows)
    assert sorted(row["split"] for row in rows) == ["test", "train", "val"]


def test_the_order_of_rows_and_columns_does_not_matter(folder):
    """The same table, written in another order and by a spreadsheet (BOM, CRLF, blank lines), is the same."""
    expected = open_dataset(str(folder)).objects
    columns = HEADER.split(",")[::-1]
    lines = [",".join(columns), "", *(",".join(row(name).split(",")[::-1]) for name in "bca"), ""]
    (folder / "landmarks.csv").write_bytes("\ufeff".encode() + "\r\n".join(lines).encode())

    assert open_dataset(str(folder)).objects == expected


@pytest.mark.parametrize("name", ["notes.txt", ".a.ply.part", "b.blend", "README"])
def test_other_files_in_meshes_are_ignored(folder, name):
    """Only files with the ending of a mesh count, and no hidden files."""
    expected = open_dataset(str(folder)).objects
    (folder / "meshes" / name).touch()

    assert open_dataset(str(folder)).objects == expected


def test_an_object_without_a_mesh_is_kept(folder):
    """A label without a mesh is not dropped: its mesh is null, so that the object can be rejected by name."""
    (folder / "meshes" / "b.ply").unlink()

    rows = open_dataset(str(folder)).objects.to_pylist()

    assert [(row["object_id"], row["mesh"], row["mesh_tag"] is None) for row in rows] == [
        ("a", "a.PLY", False),
        ("b", None, True),
        ("c", "c.stl", False),
    ]


def test_a_mesh_without_labels_counts_in_an_unlabelled_dataset(folder):
    """Without labels, the objects are the meshes, and landmarks.csv need not exist."""
    (folder / "meshes" / "d.glb").touch()
    (folder / "landmarks.csv").unlink()

    rows = open_dataset(str(folder), labelled=False).objects.to_pylist()

    assert [(row["object_id"], row["group"], row["split"]) for row in rows] == [(i, i, split_of(i)) for i in "abcd"]
    assert all(row["landmarks"] is None and row["absent"] is None for row in rows)


def test_a_fixed_split_holds_for_its_group(folder):
    """The fixed split of one object is the split of its group."""
    family = "some family"
    other = next(split for split in ("train", "val", "test") if split != split_of(family))
    write_rows(folder, [f"{HEADER},group,split", row("a", family, ""), row("b", family, other), row("c", "", "")])

    rows = open_dataset(str(folder)).objects.to_pylist()

    assert [(row["group"], row["split"]) for row in rows[:2]] == [(family, other)] * 2
    assert (rows[2]["group"], rows[2]["split"]) != ("c", other)


def test_a_group_without_a_fixed_split_has_one_split(folder):
    """The split is a function of the group, not of the object; what a run has recorded stays."""
    write_rows(folder, [f"{HEADER},group", row("a", "g"), row("b", "g"), row("c", "g")])

    for splits, expected in (({}, "train"), ({"g": "val"}, "val"), (None, split_of("g"))):
        dataset = open_dataset(str(folder), splits=splits)
        assert dataset.objects["split"].to_pylist() == [expected] * 3
        assert dataset.free_groups == (None if splits is None else {"g"})


def test_the_alignment_applies_the_first_rotation_first(folder):
    """(0, 1, 0) cm, turned a quarter about x and then half about x, doubled, is -20 mm along z."""
    settings(folder, alignment={"rotations_wxyz": [QUARTER_TURN, [0, 1, 0, 0]], "scale": 2})

    object_from_source = open_dataset(str(folder)).object_from_source

    assert apply(object_from_source, [0, 1, 0]) == pytest.approx([0, 0, -20], abs=1e-12)


def test_meshes_are_loaded_in_the_object_frame(folder):
    """A mesh is loaded in millimetres and rotated by the alignment."""
    box = trimesh.creation.box([1, 2, 3])
    box.export(folder / "meshes" / "b.ply")
    settings(folder, alignment={"rotations_wxyz": [QUARTER_TURN]})
    dataset = open_dataset(str(folder))

    mesh = dataset.load(MeshFile("b.ply"))

    assert np.ptp(mesh.bounds_mm, axis=0) == pytest.approx([10, 30, 20], abs=1e-5)


def test_a_bad_mesh_is_named(folder):
    """The error of loading begins with the file."""
    (folder / "meshes" / "b.ply").write_bytes(b"no mesh")

    with pytest.raises(DataError, match=r"^meshes/b\.ply: "):
        open_dataset(str(folder)).load(MeshFile("b.ply"))


def test_no_alignment_is_the_identity(folder):
    """A missing, null or empty alignment changes only the unit."""
    for change in ({}, {"alignment": None}, {"alignment": {}}):
        settings(folder, **change)
        assert open_dataset(str(folder)).object_from_source == pytest.approx(np.diag([10, 10, 10, 1]))


@pytest.mark.parametrize("name", ["dataset.json", "landmarks.csv"])
def test_a_missing_file_is_named(folder, name):
    """A labelled dataset needs both files."""
    (folder / name).unlink()

    assert f"{folder}/{name}: cannot be read" in refusal(folder)


def test_a_missing_folder_is_named(tmp_path):
    """The error names the first file that is missing."""
    assert f"{tmp_path}/nowhere/dataset.json" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize("labelled", [True, False])
def test_no_meshes(folder, labelled):
    """The error of a dataset without meshes names the folder and the expected files."""
    shutil.rmtree(folder / "meshes")

    assert f"{folder}/meshes: no mesh files; expected <object_id>.ply|" in refusal(folder, labelled=labelled)


def test_two_files_for_one_object(folder):
    """The error names both meshes of one id: neither is used silently."""
    (folder / "meshes" / "a.obj").touch()

    message = refusal(folder)

    assert f"{folder}/meshes: " in message
    assert "a.obj" in message
    assert "a.PLY" in message
    assert "keep one" in message


def test_all_faults_can_be_collected(folder):
    """With a list of faults, each bad row and file is a fault with the message of the error, and the rest is read."""
    (folder / "meshes" / "a.obj").touch()
    rows = ["a,1,2,3,4,5,?,g,", row("b", "g", "train"), row("b"), row("c", "g", "test"), row("", "", ""), row("d")]
    write_rows(folder, [f"{HEADER},group,split", *rows])
    faults = []

    objects = open_dataset(str(folder), faults=faults).objects

    assert objects["object_id"].to_pylist() == ["b", "c", "d"]
    assert objects["split"].to_pylist()[:2] == ["train", "train"]
    assert [(object_id, message.removeprefix(f"{folder}/")) for object_id, message in faults] == [
        ("a", "meshes: a.obj and a.PLY are both object a; keep one"),
        ("a", "landmarks.csv line 2: right_z is '?'; expected a number"),
        ("b", "landmarks.csv line 4: duplicate object_id 'b'; keep one row"),
        (None, "landmarks.csv line 6: object_id is empty; expected the mesh file's name without its ending"),
        ("c", "landmarks.csv: group 'g' is in train and test (object 'c'); a group has one split"),
    ]


def test_a_group_in_two_splits(folder):
    """Fixing members of one group to different splits is an error."""
    write_rows(folder, [f"{HEADER},group,split", row("a", "g", "train"), row("b", "g", ""), row("c", "g", "test")])

    message = refusal(folder)

    assert "landmarks.csv: group 'g' is in train and test (object 'c'); a group has one split" in message


def test_an_object_may_have_its_own_rotation(tmp_path):
    """alignment.csv rotates single objects after dataset.json's alignment; the others do not change."""
    write_dataset(tmp_path, 3, unit="inch", alignment=Alignment(((0.5, 0.5, 0.5, 0.5),), scale=2.0))
    before = open_dataset(str(tmp_path))
    wxyz = (0.9, 0.1, -0.3, 0.2)
    (tmp_path / "alignment.csv").write_bytes(write_rotations({"body-00001": wxyz, "long-gone": wxyz}))
    after = open_dataset(str(tmp_path))

    assert after.objects["rotation_wxyz"].to_pylist() == [None, list(wxyz), None]
    rotation = rigid(matrix_from_wxyz(wxyz))
    for object_id, file in after.files.items():
        expected = before.load(before.files[object_id]).vertices_mm
        if object_id == "body-00001":
            expected = apply(rotation, expected)
        np.testing.assert_allclose(after.load(file).vertices_mm, expected, atol=1e-4)


def test_a_mesh_file_whose_name_is_not_utf_8_is_named(tmp_path):
    """An error of one line, or a fault that can be printed; the others are read."""
    (tmp_path / "meshes").mkdir()
    (tmp_path / "dataset.json").write_text('{"unit": "mm", "landmark": "tragus"}')
    for name in (b"M\xfcller.ply", b"P01.ply", b"P02 .ply"):
        (tmp_path / "meshes" / name.decode("utf-8", "surrogateescape")).write_bytes(b"x")

    with pytest.raises(DataError, match="rename it"):
        open_dataset(str(tmp_path), labelled=False)
    faults = []
    assert [*open_dataset(str(tmp_path), labelled=False, faults=faults).files] == ["P01"]
    assert sorted(fault.message.rpartition("meshes: ")[2].encode() for fault in faults) == [
        rb"M\xfcller.ply: its name is not UTF-8; rename it",
        b"P02 .ply: its name begins or ends with a blank; rename it",
    ]


MIXED = LandmarkSet((("ear_l", "ear_r"), ("eye_l", "eye_r")), midline=("chin",), unpaired=("scar",))


@pytest.fixture
def points() -> dict:
    """The points of a mixed set: `b` lacks its right ear, and `c` has only a chin."""
    values = {name: np.arange(18.0).reshape(6, 3) + 100 * i + 0.1 for i, name in enumerate("abc")}
    values["b"][1] = values["c"][[0, 1, 2, 3, 5]] = np.nan
    return values


@pytest.fixture
def mixed(folder, points):
    """The folder with a mixed set; the scar of `c` does not exist."""
    (folder / "dataset.json").write_text(json.dumps({"unit": "cm", **set_values(MIXED)}))
    (folder / "landmarks.csv").write_bytes(write_landmarks(MIXED, points, {"c": [False] * 5 + [True]}))
    return folder


def test_a_set_is_read_by_name(mixed, points):
    """Positions in the set's order, NaN where not labelled, and what is absent."""
    dataset = open_dataset(str(mixed))

    assert (dataset.landmarks, dataset.objects.schema) == (MIXED, objects_schema(6))
    np.testing.assert_array_equal(
        np.reshape(dataset.objects["landmarks"].to_pylist(), (3, 6, 3)), np.array([*points.values()])
    )
    assert np.argwhere(dataset.objects["absent"].to_pylist()).tolist() == [[2, 5]]


def test_the_order_of_points_does_not_matter(mixed):
    """Rows of objects may be mixed, and in any order."""
    expected = open_dataset(str(mixed)).objects
    header, *rows = (mixed / "landmarks.csv").read_text().splitlines()
    (mixed / "landmarks.csv").write_text("\n".join([header, *sorted(rows, key=lambda row: row[::-1])]))

    np.testing.assert_equal(open_dataset(str(mixed)).objects.to_pylist(), expected.to_pylist())


def test_both_spellings_of_a_pair_are_one_dataset(folder):
    """One row per object or per point, with `landmark` or `landmarks`, and groups in either table."""
    write_rows(folder, [f"{HEADER},group,split", row("a", "kin", "val"), row("b", "kin", ""), row("c", "", "")])
    wide = open_dataset(str(folder))
    (folder / "landmarks.csv").write_bytes(write_landmarks(TRAGUS, dict.fromkeys("abc", ((1, 2, 3), (-1, 2, 3)))))
    (folder / "objects.csv").write_bytes(write_objects({"a": ("kin", "val"), "b": ("kin", "")}))
    long = open_dataset(str(folder))
    (folder / "dataset.json").write_text(json.dumps({"unit": "cm", **set_values(TRAGUS)}))

    assert wide.objects.equals(long.objects)
    assert open_dataset(str(folder)).objects.equals(wide.objects)
    assert wide.landmarks == open_dataset(str(folder)).landmarks


def test_an_unlabelled_dataset_has_groups(mixed):
    """objects.csv is read without landmarks.csv."""
    (mixed / "landmarks.csv").unlink()
    (mixed / "objects.csv").write_bytes(write_objects({"a": ("kin", "test"), "b": ("kin", "")}))

    rows = open_dataset(str(mixed), labelled=False).objects.to_pylist()

    assert [(row["group"], row["split"]) for row in rows[:2]] == [("kin", "test")] * 2
    assert rows[0]["landmarks"] is rows[0]["absent"] is None


@pytest.mark.parametrize(
    ("extras", "message"),
    [
        ({"x": ("kin", "")}, "objects.csv: object 'x' has neither a mesh nor labels; correct its id or remove the row"),
        ({"a": ("other", "")}, "objects.csv: group of 'a' is 'other', and 'kin' in landmarks.csv; keep one"),
        ({"a": ("", "test")}, "objects.csv: group 'kin' is in test and train (object 'b'); a group has one split"),
    ],
)
def test_bad_objects_are_named(folder, extras, message):
    """In objects.csv beside a table of one row per object."""
    write_rows(folder, [f"{HEADER},group,split", row("a", "kin", ""), row("b", "kin", "train"), row("c", "", "")])
    (folder / "objects.csv").write_bytes(write_objects(extras))
    faults = []

    assert refusal(folder).endswith(message)
    open_dataset(str(folder), faults=faults)
    assert [fault.message.rpartition("/")[2] for fault in faults] == [message]


def test_a_set_needs_a_row_per_point(mixed):
    """A table of one row per object has no names."""
    write_rows(mixed, [HEADER, row("a")])

    assert "landmarks.csv: one row per object, but the set has 6 landmarks; write one row per point" in refusal(mixed)
