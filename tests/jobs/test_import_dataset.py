"""A folder of meshes and other programs' landmark files becomes a dataset, and is exported again."""

import json
from pathlib import Path

import numpy as np
import pytest

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.landmark_files.formats import write_points
from featurelib.datasets.synthetic import make_body
from featurelib.errors import DataError, UsageError
from featurelib.meshes import load_mesh
from jobs.export_landmarks import ExportConfig, export_landmarks
from jobs.import_dataset import ImportConfig, import_dataset

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
        name: (body.vertices_mm / 25.4, body.faces, tuple(tuple(xyz) for xyz in (body.pair_mm / 25.4).tolist()))
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
    for name, content in write_points(pairs, "ear tip", kind, **spaces).items():
        (folder / name).write_bytes(content)
    return folder


def config(scans: Path, landmarks: Path | None, **changes) -> ImportConfig:
    values = {"meshes": str(scans), "unit": "inch", "landmark": "ear tip", "out": str(scans.parent / "dataset")}
    return ImportConfig(**{**values, "landmarks": landmarks and str(landmarks), **changes})


@pytest.mark.parametrize("kind", ["slicer", "fcsv", "meshlab", "json", "csv"])
def test_meshes_and_marks_become_a_dataset_and_are_exported_again(bodies, scans, tmp_path, kind):
    """The dataset has the same mesh files and the same numbers; the export writes the same landmark files."""
    folder = marks(bodies, tmp_path / "marks", kind)
    import_dataset(config(scans, folder))

    dataset = open_dataset(str(tmp_path / "dataset"))
    assert (dataset.unit, dataset.landmark) == ("inch", "ear tip")
    for row in dataset.objects.to_pylist():
        assert (tuple(row["left"]), tuple(row["right"])) == bodies[row["object_id"]][2]
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
        assert (tuple(row["left"]), tuple(row["right"])) == bodies[row["object_id"]][2]
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
        np.testing.assert_allclose([row["left"], row["right"]], bodies[row["object_id"]][2], rtol=1e-12)


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


def test_other_formats_are_converted(bodies, tmp_path):
    """A format that only trimesh reads becomes PLY with the same surface."""
    import trimesh

    vertices, faces, _ = bodies["scan-a"]
    (tmp_path / "scans").mkdir()
    scene = trimesh.Trimesh(vertices, faces).scene()
    files = trimesh.exchange.gltf.export_gltf(scene, merge_buffers=True, embed_buffers=True)
    (tmp_path / "scans/scan-a.gltf").write_bytes(files["model.gltf"])
    import_dataset(config(tmp_path / "scans", None))

    content = (tmp_path / "dataset/meshes/scan-a.ply").read_bytes()
    mesh = load_mesh(content, "ply", np.diag([25.4, 25.4, 25.4, 1]), name="scan-a")
    assert len(mesh.faces) == len(faces)
    np.testing.assert_allclose(mesh.bounds_mm, 25.4 * np.array([vertices.min(0), vertices.max(0)]), rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"unit": None}, UsageError, "no such file; give --unit, as in"),
        ({"left": ("a", "b")}, UsageError, "expected a label, or the names of three columns"),
        ({"landmarks": "nowhere"}, DataError, "no landmark files; expected .mrk.json"),
        ({"meshes": "nowhere"}, DataError, "no mesh files; expected .ply"),
        ({"left": ("F-1",)}, DataError, "no point 'F-1' among 'left ear tip', 'right ear tip'; name it with --left"),
    ],
)
def test_wrong_use_is_an_error_before_anything_is_written(bodies, scans, tmp_path, changes, error, message):
    """The dataset's folder does not exist afterwards."""
    folder = marks(bodies, tmp_path / "marks")
    with pytest.raises(error, match=message):
        import_dataset(config(scans, changes.pop("landmarks", folder), **changes))

    assert not (tmp_path / "dataset").exists()
