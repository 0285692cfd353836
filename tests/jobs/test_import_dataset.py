"""A folder of meshes and other programs' landmark files becomes a dataset, and is exported again."""

import json
from pathlib import Path

import meshio
import numpy as np
import pytest
import trimesh

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.landmark_files.formats import write_points
from featurelib.datasets.synthetic import make_body
from featurelib.errors import DataError, UsageError
from featurelib.geometry import LandmarkSet
from featurelib.meshes import load_mesh
from featurelib.runtime.console import OutputOptions, set_output_options
from jobs.export_landmarks import ExportConfig, export_landmarks
from jobs.import_dataset import ImportConfig, import_dataset

EAR_TIP = LandmarkSet.single_pair("ear tip")
OBJECTS = ("scan-a", "scan-b", "scan-c")


def stl(vertices: np.ndarray, faces: np.ndarray, header: bytes = b"") -> bytes:
    """A binary STL file."""
    rows = np.zeros(len(faces), np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")]))
    rows["corners"] = vertices[faces]
    return header.ljust(80, b" ") + np.uint32(len(faces)).tobytes() + rows.tobytes()


@pytest.fixture(scope="module")
def bodies() -> dict:
    """Vertices in inches, faces and the pair in inches of a few bodies."""
    made = {name: make_body(np.random.default_rng(i)) for i, name in enumerate(OBJECTS)}
    return {
        name: (body.vertices_mm / 25.4, body.faces, tuple(tuple(xyz) for xyz in (body.landmarks_mm / 25.4).tolist()))
        for name, body in made.items()
    }


@pytest.fixture
def scans(bodies, tmp_path) -> Path:
    """A folder of STL files in inches."""
    (tmp_path / "scans").mkdir()
    for name, (vertices, faces, _) in bodies.items():
        (tmp_path / "scans" / f"{name}.stl").write_bytes(stl(vertices, faces))
    return tmp_path / "scans"


def marks(bodies, folder: Path, kind: str = "slicer", factor: float = 1.0, **spaces) -> Path:
    """A folder of landmark files of the bodies."""
    pairs = {
        name: tuple(tuple(factor * value for value in xyz) for xyz in pair) for name, (_, _, pair) in bodies.items()
    }
    folder.mkdir()
    for name, content in write_points(EAR_TIP, pairs, kind, **spaces).items():
        (folder / name).write_bytes(content)
    return folder


def points(row: dict) -> tuple:
    """The positions in a row of the objects' table."""
    return tuple(tuple(xyz) for xyz in np.reshape(row["landmarks"], (-1, 3)).tolist())


def config(scans: Path, landmarks: Path | None, **changes) -> ImportConfig:
    values = {"meshes": str(scans), "unit": "inch", "landmark": "ear tip", "out": str(scans.parent / "dataset")}
    return ImportConfig(**{**values, "landmarks": landmarks and str(landmarks), **changes})


@pytest.mark.parametrize("kind", ["slicer", "fcsv", "meshlab", "json", "csv"])
def test_meshes_and_marks_become_a_dataset_and_are_exported_again(bodies, scans, tmp_path, kind):
    """The dataset has the same mesh files and the same numbers; the export writes the same landmark files."""
    folder = marks(bodies, tmp_path / "marks", kind)
    import_dataset(config(scans, folder))

    dataset = open_dataset(str(tmp_path / "dataset"))
    assert (dataset.unit, dataset.landmarks) == ("inch", EAR_TIP)
    for row in dataset.objects.to_pylist():
        assert points(row) == bodies[row["object_id"]][2]
        assert (tmp_path / "dataset/meshes" / row["mesh"]).read_bytes() == (scans / row["mesh"]).read_bytes()

    export_landmarks(ExportConfig(dataset=dataset.uri, out=str(tmp_path / "again"), format=kind))
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_a_mesh_file_may_name_ras(bodies, scans, tmp_path):
    """Slicer rotates such a mesh when it loads it, so its LPS points are rotated back, also in the export."""
    for name, (vertices, faces, _) in bodies.items():
        (scans / f"{name}.stl").write_bytes(stl(vertices, faces, b"3D Slicer output. SPACE=RAS"))
    folder = marks(bodies, tmp_path / "marks", space="LPS", space_of=lambda _: "RAS")
    import_dataset(config(scans, folder))

    for row in open_dataset(str(tmp_path / "dataset")).objects.to_pylist():
        assert points(row) == bodies[row["object_id"]][2]
    export_landmarks(ExportConfig(dataset=str(tmp_path / "dataset"), out=str(tmp_path / "again")))
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("factor", "spaces", "flags", "fix"),
    [
        (25.4, {}, "--landmark-unit mm", {"landmark_unit": "mm"}),
        (1.0, {"space": "RAS", "space_of": lambda _: "RAS"}, "--mesh-space RAS", {"mesh_space": "RAS"}),
    ],
)
def test_landmarks_off_the_meshes_are_refused_with_the_flags_that_fix_it(
    bodies, scans, tmp_path, factor, spaces, flags, fix
):
    """Nothing is written; with the flags of the error, the landmarks are where they were marked."""
    folder = marks(bodies, tmp_path / "marks", factor=factor, **spaces)
    with pytest.raises(DataError, match=f"mesh sizes off the meshes, and .* with {flags}; give these flags"):
        import_dataset(config(scans, folder))
    assert not (tmp_path / "dataset").exists()

    import_dataset(config(scans, folder, **fix))
    for row in open_dataset(str(tmp_path / "dataset")).objects.to_pylist():
        np.testing.assert_allclose(points(row), bodies[row["object_id"]][2], rtol=1e-12)


def test_landmarks_can_be_imported_later_and_again(bodies, scans, tmp_path):
    """Meshes alone are a dataset for `predict`; later rows replace those of the same objects, and others are kept."""
    import_dataset(config(scans, None))
    assert open_dataset(str(tmp_path / "dataset"), labelled=False).objects["object_id"].to_pylist() == [*OBJECTS]

    dataset = str(tmp_path / "dataset")
    import_dataset(ImportConfig(out=dataset, landmarks=str(marks(bodies, tmp_path / "marks"))))
    before = (tmp_path / "dataset/landmarks.csv").read_text().splitlines()
    moved = {"scan-b": {"left": bodies["scan-a"][2][0], "right": bodies["scan-b"][2][1]}}
    (tmp_path / "b.json").write_text(json.dumps(moved))
    import_dataset(ImportConfig(out=dataset, landmarks=str(tmp_path / "b.json")))

    after = (tmp_path / "dataset/landmarks.csv").read_text().splitlines()
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, True, False, True]


def test_axes_can_be_named_at_once(scans, tmp_path):
    """The same as with `align`: the face is towards -y and up is +z."""
    import_dataset(config(scans, None, front="-y", up="+z"))

    to_object = open_dataset(str(tmp_path / "dataset"), labelled=False).object_from_source / 25.4
    np.testing.assert_allclose(to_object[:3, :3], [[1, 0, 0], [0, 0, 1], [0, -1, 0]], atol=1e-12)


def test_meshes_can_be_linked(scans, tmp_path):
    """A link points to the original file."""
    import_dataset(config(scans, None, link=True))

    assert (tmp_path / "dataset/meshes/scan-a.stl").readlink() == scans / "scan-a.stl"
    assert open_dataset(str(tmp_path / "dataset"), labelled=False).objects["object_id"].to_pylist() == [*OBJECTS]


@pytest.mark.parametrize(
    ("suffix", "embedded", "target"), [("gltf", True, "glb"), ("gltf", False, "glb"), ("mesh", True, "ply")]
)
def test_other_formats_are_converted(bodies, tmp_path, capsys, suffix, embedded, target):
    """A format that only trimesh reads becomes PLY, and a .gltf with its files becomes GLB, with the same surface."""
    vertices, faces, _ = bodies["scan-a"]
    (tmp_path / "scans").mkdir()
    if suffix == "gltf":
        scene = trimesh.Trimesh(vertices, faces).scene()
        files = trimesh.exchange.gltf.export_gltf(scene, merge_buffers=True, embed_buffers=embedded)
        files["scan-a.gltf"] = files.pop("model.gltf")
    else:
        meshio.Mesh(vertices, [("triangle", faces)]).write(tmp_path / "scan-a.mesh")
        files = {"scan-a.mesh": (tmp_path / "scan-a.mesh").read_bytes()}
    for name, content in files.items():
        (tmp_path / "scans" / name).write_bytes(content)
    import_dataset(config(tmp_path / "scans", None))

    assert "not read" not in capsys.readouterr().err
    content = (tmp_path / f"dataset/meshes/scan-a.{target}").read_bytes()
    mesh = load_mesh(content, target, np.diag([25.4, 25.4, 25.4, 1]), name="scan-a")
    assert len(mesh.faces) == len(faces)
    np.testing.assert_allclose(mesh.bounds_mm, 25.4 * np.array([vertices.min(0), vertices.max(0)]), rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"unit": None}, UsageError, "no such file; give --unit, as in"),
        ({"left": ("a", "b")}, UsageError, "expected a label, or the names of three columns"),
        ({"landmarks": "nowhere"}, DataError, "no landmark files; expected .mrk.json"),
        ({"meshes": "nowhere"}, DataError, "no mesh files; expected .ply"),
        ({"left": ("F-1",)}, DataError, "no point 'F-1' among 'ear tip_left', 'ear tip_right'; name it with --left"),
    ],
)
def test_wrong_use_is_an_error_before_anything_is_written(bodies, scans, tmp_path, changes, error, message):
    """The dataset's folder does not exist afterwards."""
    folder = marks(bodies, tmp_path / "marks")
    with pytest.raises(error, match=message):
        import_dataset(config(scans, changes.pop("landmarks", folder), **changes))

    assert not (tmp_path / "dataset").exists()


PAIR = ((-3.0, 0.0, 0.0), (3.0, 0.0, 0.0))
BALL = trimesh.creation.icosphere(3, 3.0)


def ball(name: str, folder: Path, points=PAIR) -> dict:
    """Write a ball of three inches as PLY; return its landmarks as JSON values."""
    folder.mkdir(parents=True, exist_ok=True)
    BALL.export(folder / f"{name}.ply")
    return {name: {"left": points[0], "right": points[1]}}


def imported(tmp_path: Path, marks: dict, capsys, **changes) -> tuple[dict, str]:
    """Import scans and marks of a folder; return the result as JSON values, and what was printed before it."""
    (tmp_path / "marks.json").write_text(json.dumps(marks))
    set_output_options(OutputOptions(json=True))
    import_dataset(config(tmp_path / "scans", tmp_path / "marks.json", **changes))
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    return json.loads(out), err


def test_the_summary_names_all_that_did_not_come_in(tmp_path, capsys):
    """Counts, and each name with its reason: a broken mesh, an unplaced point, a point that is off, unread files."""
    scans = tmp_path / "scans"
    marks = {}
    for name, points in {
        "good": PAIR,
        "zero": ((0, 0, 0), PAIR[1]),
        "near": ((-3.2, 0, 0), PAIR[1]),
        "off": ((-5.0, 0, 0), PAIR[1]),
        "far": ((-500.0, 0, 0), PAIR[1]),
        "both": ((0, 0, 0), (0, 0, 0)),
    }.items():
        marks |= ball(name, scans, points)
    marks |= {"broken": {"left": PAIR[0], "right": PAIR[1]}}
    (scans / "broken.ply").write_bytes(b"ply")
    (scans / "more.zip").write_bytes(b"PK")
    (scans / "P02.ply").mkdir()
    (scans / "P02.ply/scan.txt").write_text("notes")

    values, err = imported(tmp_path, marks, capsys)

    assert (values["meshes"], values["labelled"]) == (6, 3)
    assert {fault["object_id"] for fault in values["left_out"]} == {"zero", "both", "far", "broken"}
    assert set(values["off_mesh"]) == {"off"}
    dataset = open_dataset(str(tmp_path / "dataset"))
    assert dataset.objects["object_id"].to_pylist() == ["good", "near", "off"]
    assert set(open_dataset(dataset.uri, labelled=False).files) == set(marks) - {"broken"}
    for line in (
        "off the mesh: off: left is 50.8 mm off the mesh, 19 % of its size",
        "left out: broken.ply: ",
        "left out: zero: left at 0, 0, 0, off the mesh",
        "left out: both: left and right at 0, 0, 0",
        "left out: far: left is 1.26e+04 mm off the mesh",
        "not read: 1 archive; unpack what you need: more.zip",
        "without landmarks: both, far, zero",
    ):
        assert line in err, err


def test_earlier_rows_of_objects_without_a_new_pair_are_named(tmp_path, capsys):
    """They stay, so the objects are not without landmarks."""
    marks = ball("good", tmp_path / "scans") | ball("later", tmp_path / "scans")
    imported(tmp_path, marks, capsys)
    ball("new", tmp_path / "scans")
    values, err = imported(tmp_path, marks | {"later": {"left": None, "right": PAIR[1]}}, capsys)

    assert (values["labelled"], values["kept"]) == (2, ["later"])
    assert "so the earlier ones stay in landmarks.csv: later" in err
    assert "without landmarks: new" in err


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (((0, 0, 0), PAIR[1]), "second: left at 0, 0, 0, off the mesh"),
        (((-5, 0, 0), PAIR[1]), "second: left is 50.8 mm off the mesh"),
    ],
)
def test_strict_stops_at_the_first_that_would_be_left_out(tmp_path, capsys, points, message):
    """Without it the other object comes in."""
    marks = ball("first", tmp_path / "scans") | ball("second", tmp_path / "scans", points)

    with pytest.raises(DataError, match=message):
        imported(tmp_path, marks, capsys, strict=True)
    assert not (tmp_path / "dataset/dataset.json").exists()
    assert imported(tmp_path, marks, capsys)[0]["meshes"] == 2


def test_strict_refuses_a_broken_mesh_and_a_name(tmp_path, capsys):
    """The same faults are lines of the summary without it."""
    marks = ball("first", tmp_path / "scans")
    (tmp_path / "scans/broken.ply").write_bytes(b"ply")
    with pytest.raises(DataError, match=r"broken\.ply: "):
        imported(tmp_path, marks, capsys, strict=True)
    (tmp_path / "scans/broken.ply").rename(tmp_path / "scans/blank .ply")
    with pytest.raises(DataError, match=r"blank \.ply: its name begins or ends with a blank"):
        imported(tmp_path, marks, capsys, strict=True)


@pytest.mark.parametrize("points", [((0, 0, 0), PAIR[1]), ((-900, 0, 0), PAIR[1])])
def test_an_error_where_nothing_is_left(tmp_path, capsys, points):
    """No landmarks, or no meshes: there would be no dataset."""
    with pytest.raises(DataError, match=r"no landmarks of any mesh; the first: only: left .* off the mesh"):
        imported(tmp_path, ball("only", tmp_path / "scans", points) | ball("other", tmp_path / "scans", points), capsys)
    for name in ("only", "other"):
        (tmp_path / f"scans/{name}.ply").write_bytes(b"ply")
    with pytest.raises(DataError, match=r"no mesh can be read; the first: only\.ply: "):
        import_dataset(config(tmp_path / "scans", None))


def test_a_surface_may_pass_through_the_origin(tmp_path, capsys):
    """A point at 0, 0, 0 on the surface is a point."""
    marks = ball("only", tmp_path / "scans", ((0, 0, 0), (6, 0, 0)))
    BALL.copy().apply_translation([3, 0, 0]).export(tmp_path / "scans/only.ply")

    assert imported(tmp_path, marks, capsys)[0]["labelled"] == 1


@pytest.mark.parametrize(("before", "after"), [("stl", "ply"), ("ply", "obj"), ("off", "glb")])
@pytest.mark.parametrize("link", [False, True])
def test_another_format_of_an_object_replaces_its_file(tmp_path, before, after, link):
    """The dataset has one file per object, and the objects of earlier imports stay."""
    for folder, name, suffix in (("first", "P01", before), ("first", "P02", "ply"), ("second", "P01", after)):
        (tmp_path / folder).mkdir(exist_ok=True)
        BALL.export(tmp_path / folder / f"{name}.{suffix}")
    for folder in ("first", "second"):
        import_dataset(config(tmp_path / folder, None, link=link))

    files = open_dataset(str(tmp_path / "dataset"), labelled=False).files
    assert {name: file.name for name, file in files.items()} == {"P01": f"P01.{after}", "P02": "P02.ply"}
    assert (tmp_path / f"first/P01.{before}").exists()


def test_an_id_like_one_of_the_dataset_is_refused(tmp_path):
    """Both are named, and nothing is written."""
    ball("P01", tmp_path / "first")
    ball("p01", tmp_path / "second")
    import_dataset(config(tmp_path / "first", None))
    with pytest.raises(DataError, match="'P01' and 'p01' differ only by case"):
        import_dataset(config(tmp_path / "second", None))
    assert set(open_dataset(str(tmp_path / "dataset"), labelled=False).files) == {"P01"}


@pytest.mark.parametrize("file", ["P01.json", "P01/marks.json", "P01/P01_L.json"])
def test_a_folder_per_object_with_its_landmarks(tmp_path, capsys, file):
    """The subfolder's name is the id of its mesh and of its landmark file."""
    pair = ball("head", tmp_path / "scans/P01")["head"]
    ball("head", tmp_path / "scans/P02")
    (tmp_path / "scans" / file).write_text(json.dumps(pair))
    (tmp_path / "scans/P03").mkdir()
    (tmp_path / "scans/P03/lost.json").write_text(json.dumps(pair))
    import_dataset(config(tmp_path / "scans", tmp_path / "scans"))

    assert open_dataset(str(tmp_path / "dataset")).objects["object_id"].to_pylist() == ["P01"]
    err = capsys.readouterr().err
    assert "each subfolder has one mesh" in err
    assert "landmark files in subfolders without a mesh are not read: P03/lost.json" in err


@pytest.mark.parametrize("name", ["skin.png", "my skin.jpg"])
def test_textures_that_are_not_read_are_one_line(tmp_path, capsys, name):
    """An OBJ whose material has an image, or a PLY that names one; a material without an image is none."""
    scans = tmp_path / "scans"
    ball("plain", scans)
    body = (scans / "plain.ply").read_bytes()
    (scans / "named.ply").write_bytes(body.replace(b"element vertex", b"comment TextureFile a.png\nelement vertex", 1))
    for stem, material in {"skin": f"newmtl a\nmap_Kd {name}\n", "grey": "newmtl a\nKd 1 1 1\n"}.items():
        BALL.export(scans / f"{stem}.obj")
        text = (scans / f"{stem}.obj").read_text()
        (scans / f"{stem}.obj").write_text(f"mtllib {stem} x.mtl\n{text}")
        (scans / f"{stem} x.mtl").write_text(material)
    (scans / name).write_bytes(b"image")
    import_dataset(config(scans, None))

    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("not read")]
    assert lines == ["not read: textures of 2 OBJ and PLY files, drawn without them: named.ply, skin.obj"]


def test_a_gltf_without_its_buffer_is_left_out_by_name(tmp_path, capsys):
    """Neither a missing file nor one outside of the folder is read."""
    ball("good", tmp_path / "scans")
    (tmp_path / "secret.bin").write_bytes(bytes(100))
    for i, uri in enumerate(("gone.bin", "../secret.bin", str(tmp_path / "secret.bin"))):
        document = {"asset": {"version": "2.0"}, "buffers": [{"uri": uri, "byteLength": 100}]}
        (tmp_path / f"scans/bad{i}.gltf").write_text(json.dumps(document))
    import_dataset(config(tmp_path / "scans", None))

    err = capsys.readouterr().err
    assert all(f"bad{i}.gltf" in err and "is not beside it" in err for i in range(3))
    assert set(open_dataset(str(tmp_path / "dataset"), labelled=False).files) == {"good"}
