"""A dataset of randomly rotated meshes is aligned, and every command reads the result."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from featurelib.__main__ import make_app
from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.landmark_table import write_pairs
from featurelib.datasets.shards import RenderSpec, decode_png
from featurelib.datasets.shards.sandboxed import ObjectJob, PrepareJob, prepare_mesh, render_object
from featurelib.datasets.synthetic import make_body, write_dataset
from featurelib.geometry import DEFAULT_RIG, Alignment, apply, rigid
from featurelib.meshes.template import Template
from featurelib.meshes.writers.ply import ply
from featurelib.runtime import cli, storage
from jobs.workers.inference import mesh_files, without_objects

COUNT = 9
MOST_DEG = 30.0
"""Two bodies' poses differ by up to twice 15 degrees."""


@pytest.fixture
def rotated(tmp_path):
    """A dataset in LPS axes and cm, with all but the first two bodies rotated at random; and the original bodies."""
    folder = tmp_path / "rotated"
    source_from_object = np.linalg.inv(Alignment(((0.5**0.5, -(0.5**0.5), 0, 0),)).object_from_source("cm"))
    rotations = Rotation.random(COUNT, rng=1).as_matrix()
    pairs, bodies = {}, {}
    for i in range(COUNT):
        body = make_body(np.random.default_rng([3, i]))
        to_source = source_from_object @ rigid(rotations[i] if i > 1 else np.eye(3))
        name = f"body-{i}"
        vertices = apply(to_source, body.vertices_mm).astype(np.float32)
        storage.write_bytes(str(folder / "meshes" / f"{name}.ply"), ply(vertices, body.faces))
        pairs[name] = [tuple(xyz) for xyz in apply(to_source, body.landmarks_mm).tolist()]
        bodies[name] = body
    (folder / "landmarks.csv").write_bytes(write_pairs(pairs))
    (folder / "dataset.json").write_text(json.dumps({"unit": "cm", "landmark": "ear_tip"}))
    return folder, bodies


def run(capsys, *flags: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.run(make_app(), ["align", *flags])
    return ended.value.code, *capsys.readouterr()


def test_rotated_bodies_are_aligned_and_rendered_upright(cluster, rotated, tmp_path, capsys):
    """With the dataset's axes and a rotation per object, meshes and labels are in the object frame."""
    folder, bodies = rotated
    flags = ["--dataset", str(folder), "--front", "-y", "--up", "+z", "--reference", "body-0", "body-1"]
    code, out, _ = run(capsys, *flags, "--out", str(tmp_path / "sheet"), "--json")
    result = json.loads(out)

    assert (code, result["rotated"], result["is_written"]) == (0, COUNT - 2, True)
    dataset = open_dataset(str(folder))
    for row in dataset.objects.to_pylist():
        body, to_object = bodies[row["object_id"]], dataset.object_from_source_of(row["rotation_wxyz"])
        left = apply(to_object, row["landmarks"][:3]) - dataset.load(dataset.files[row["object_id"]]).centre_mm
        original = body.landmarks_mm[0] - (body.vertices_mm.min(0) + body.vertices_mm.max(0)) / 2
        cosine = left @ original / np.linalg.norm(left) / np.linalg.norm(original)
        assert np.degrees(np.arccos(min(1, cosine))) < MOST_DEG
        assert left[0] > 0
    page = (tmp_path / "sheet/sheet.html").read_text()
    assert page.count("<section") == COUNT - 2
    assert len(json.loads((tmp_path / "sheet/alignment.json").read_text())["objects"]) == COUNT - 2
    assert_every_reader_rotates(dataset)


def assert_every_reader_rotates(dataset) -> None:
    """Rendering with labels and preparing a mesh without them give the same images, with the landmarks on the ears."""
    row = next(row for row in dataset.objects.to_pylist() if row["rotation_wxyz"])
    spec = RenderSpec(dataset.unit, dataset.alignment, "orthographic", 400.0, 64, DEFAULT_RIG, "raster")
    uri = dataset.mesh_uri(row["mesh"])
    views = render_object(ObjectJob(row, dataset.landmarks, uri, {"orthographic": spec})).outcomes["orthographic"]
    mesh = without_objects(dataset).load(dataset.files[row["object_id"]])
    template = Template(np.asarray(mesh.vertices_mm, float), np.eye(3)[:2])
    prepared = prepare_mesh(PrepareJob(uri, spec, template, tuple(row["rotation_wxyz"])))

    for view, png in zip(views, prepared.pngs, strict=True):
        np.testing.assert_array_equal(decode_png(view["png"]), decode_png(png))
    (file,) = mesh_files(dataset, [row["object_id"]])
    assert file == dataset.files[row["object_id"]]
    np.testing.assert_array_equal(prepared.mesh.vertices_mm, mesh.vertices_mm)
    assert views[8]["near"] == [0]
    assert views[0]["near"] == [1]


def test_a_dry_run_writes_nothing(cluster, rotated, capsys):
    folder, _ = rotated
    before = (folder / "dataset.json").read_bytes()
    code, out, _ = run(capsys, "--dataset", str(folder), "--front", "-y", "--up", "+z", "--dry-run")

    assert (code, "would be aligned" in out) == (0, True)
    assert (folder / "dataset.json").read_bytes() == before
    assert not (folder / "alignment.csv").exists()


def test_new_axes_remove_the_rotations_of_the_old(tmp_path, capsys):
    """The rotations of single objects are relative to the axes of the dataset."""
    write_dataset(tmp_path, 1)
    (tmp_path / "alignment.csv").write_text("object_id,w,x,y,z\nbody-00000,0,1,0,0\n")
    code, _, err = run(capsys, "--dataset", str(tmp_path), "--front", "+z", "--up", "+y")

    assert code == 0
    assert "is removed" in err
    assert json.loads((tmp_path / "dataset.json").read_text())["alignment"]["rotations_wxyz"] == [[1.0, 0.0, 0.0, 0.0]]
    assert open_dataset(str(tmp_path)).objects["rotation_wxyz"].to_pylist() == [None]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "nothing to align to: name axes (--front -y --up +z), an object (--reference ID) or both"),
        (("--up", "+z"), "--front, --up: only one is given; give both"),
        (("--front", "+z", "--up", "-z"), "--front +z --up -z: the same axis"),
        (("--front", "back", "--up", "-z"), 'Invalid value "back" for --front'),
        (("--reference", "nobody"), "--reference nobody: no such object"),
    ],
)
def test_wrong_flags_give_one_line(tmp_path, capsys, flags, message):
    write_dataset(tmp_path, 1)
    code, out, err = run(capsys, "--dataset", str(tmp_path), *flags)

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
