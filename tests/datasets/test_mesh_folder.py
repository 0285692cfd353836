"""The files of a folder of meshes: which are read for which object, and one line on each kind that is not."""

from pathlib import Path

import pytest

from featurelib.datasets.faults import Fault
from featurelib.datasets.mesh_folder import MeshFolder, read_mesh_folder, some, unread_files
from featurelib.errors import DataError
from featurelib.runtime import storage

SUFFIXES = (".ply", ".stl", ".gltf")


def write(folder: str, *paths: str) -> None:
    for path in paths:
        storage.write_bytes(storage.join(folder, path), b"x")


def read(folder: str, **options) -> tuple[MeshFolder, list[Fault]]:
    faults: list[Fault] = []
    return read_mesh_folder(folder, SUFFIXES, faults, **options), faults


def test_each_mesh_of_a_folder_is_an_object(folder):
    """Locally and in an object store; endings may be capitals, and hidden files are ignored."""
    write(folder, "P01.ply", "P02.STL", "Doe, Jane.ply", "notes.txt", ".hidden.ply", "__MACOSX/P01.ply")

    found, faults = read(folder)

    assert found.meshes == {"P01": "P01.ply", "P02": "P02.STL", "Doe, Jane": "Doe, Jane.ply"}
    assert (found.others, found.notes, faults) == (["notes.txt"], (), [])
    assert found.uri_of("P02") == f"{folder}/P02.STL"


@pytest.mark.parametrize(
    "paths",
    [
        ["P01/head.ply", "P02/head.ply"],
        ["P01/P01.ply", "P02/scan.stl", "P02/marks.mrk.json"],
        ["P01/deep/head.ply", "P02/head.gltf", "P02/head.bin", "P03/notes.txt"],
    ],
)
def test_a_folder_per_object_is_read_if_each_has_one_mesh(folder, paths):
    """The subfolder's name is the id, and a line says so."""
    write(folder, *paths)

    found, faults = read(folder)

    assert set(found.meshes) == {"P01", "P02"}
    assert all(path.startswith(f"{object_id}/") for object_id, path in found.meshes.items())
    assert "each subfolder has one mesh" in found.notes[0]
    assert faults == []


def test_a_subfolder_with_several_meshes_is_an_error(folder):
    """It names the subfolder, its meshes and what to do."""
    write(folder, "P01/head.ply", "P02/a.ply", "P02/b.ply")

    with pytest.raises(DataError, match=r"subfolder P02 has 2 meshes \(P02/a.ply, P02/b.ply\); keep one per subfolder"):
        read(folder)


def test_meshes_in_subfolders_beside_meshes_are_left_out_by_name(folder):
    """Those of the folder itself are read; a folder that is called like a mesh is no mesh."""
    write(folder, "P01.ply", "P02.ply/scan.txt", "old/P01.ply")

    found, faults = read(folder)

    assert found.meshes == {"P01": "P01.ply"}
    assert [fault.message.partition(";")[0] for fault in faults] == [
        "old/P01.ply: in a subfolder, beside meshes in the folder itself"
    ]
    assert [*unread_files(found, [])] == ["1 file in subfolders without a mesh: P02.ply/scan.txt"]


def test_the_dataset_may_be_below_the_folder(folder):
    """Its own files are not imported again."""
    write(folder, "P01.ply", "heads/meshes/P01.ply")

    assert read(folder, skip=f"{folder}/heads")[1] == []


def test_names_that_no_table_keeps_are_left_out_by_name(tmp_path):
    """Bytes that are not UTF-8, blanks at the ends and control characters; the others are read."""
    for name in (b"M\xfcller.ply", b"P01.ply", b"P02 .ply", b"P\t3.ply", b"a\\b.ply"):
        (tmp_path / name.decode("utf-8", "surrogateescape")).write_bytes(b"x")

    found, faults = read(str(tmp_path))

    assert set(found.meshes) == {"P01"}
    assert sorted(fault.message for fault in faults) == [
        r"M\xfcller.ply: its name is not UTF-8; rename it",
        "P02 .ply: its name begins or ends with a blank; rename it",
        r"P\t3.ply: its name has a control character; rename it",
        r"a\b.ply: its name has a path separator; rename it",
    ]
    with pytest.raises(DataError, match="rename it"):
        read_mesh_folder(str(tmp_path), SUFFIXES, None)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["P01.ply", "P01.stl"], "P01.stl and P01.ply are both object P01; keep one"),
        (["P01.ply", "p01.ply"], "objects 'P01' and 'p01' differ only by case"),
        (["Mu\u0308ller.ply", "M\u00fcller.ply"], "differ only by case or by composed letters; rename one"),
        (["a.txt"], "no mesh files; expected .ply"),
    ],
)
def test_what_is_ambiguous_is_an_error(tmp_path, names, message):
    """Both names are in it."""
    write(str(tmp_path), *names)

    with pytest.raises(DataError, match=message):
        read(str(tmp_path))


def test_each_kind_of_unread_file_is_one_line(tmp_path):
    """Archives, landmark files and other endings, with counts and the first names."""
    write(
        str(tmp_path),
        *("P01.ply", "a.zip", "b.tar.gz", "c.RAR", "P01.mrk.json", "x.txt", "y.txt", "README", "used.bin"),
        *(f"{i:02d}.png" for i in range(12)),
    )

    found, _ = read(str(tmp_path))

    assert sorted(unread_files(found, ["used.bin"])) == [
        "1 file: README",
        "1 landmark file beside the meshes; name the folder with --landmarks: P01.mrk.json",
        "12 .png files: 00.png, 01.png, 02.png, 03.png, 04.png, 05.png, 06.png, 07.png, 08.png, 09.png and 2 more",
        "2 .txt files: x.txt, y.txt",
        "3 archives; unpack what you need: a.zip, b.tar.gz, c.RAR",
    ]


def test_many_names_are_counted():
    """Ten are shown."""
    assert some([*"abc"]) == "a, b, c"
    assert some([*map(str, range(13))]).endswith("8, 9 and 3 more")


def test_a_link_back_to_the_folder_ends(tmp_path):
    """The search for meshes enters a few levels only."""
    write(str(tmp_path), "P01.ply")
    (tmp_path / "loop").symlink_to(Path(), target_is_directory=True)

    assert set(read(str(tmp_path))[0].meshes) == {"P01"}


def test_a_name_with_braces_is_shown(tmp_path):
    """It is no template of a line."""
    write(str(tmp_path), "P01.ply", "x.{a}")

    assert [*unread_files(read(str(tmp_path))[0], [])] == ["1 .{a} file: x.{a}"]
