import io
from dataclasses import fields

import numpy as np
import pytest
import trimesh
from PIL import Image

from featurelib.errors import DataError
from featurelib.geometry import rigid
from featurelib.meshes import MESH_SUFFIXES, Mesh, load_mesh, smooth_normals

SAME = np.eye(4)
IN_OBJECT_FRAME = rigid(25.4 * trimesh.transformations.rotation_matrix(0.7, [1, 2, 3])[:3, :3])
"""Inches about other axes."""


@pytest.fixture(scope="module")
def ellipsoid() -> trimesh.Trimesh:
    """162 vertices, semi-axes 3, 2, 1, off the origin."""
    return trimesh.creation.icosphere(subdivisions=2).apply_scale([3, 2, 1]).apply_translation([0.5, 0.25, -2])


def _exported(mesh: trimesh.Trimesh, suffix: str) -> bytes:
    written = mesh.export(file_type=suffix.removeprefix("."))
    return written.encode() if isinstance(written, str) else written


def _textured_quad() -> trimesh.Trimesh:
    """Two triangles whose common edge is a seam: four positions, six vertices, a 2 x 3 texture."""
    texture = Image.fromarray(np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 10)
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0.5], [0, 0, 0], [1, 1, 0.5], [0, 1, 0]], float)
    uv = np.array([[0, 0], [0.5, 0], [0.5, 1], [0.75, 0], [1, 1], [0.75, 1]], float)
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=texture)
    visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    return trimesh.Trimesh(vertices, [[0, 1, 2], [3, 4, 5]], visual=visual, process=False)


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
def test_every_file_type_gives_the_same_surface(suffix, ellipsoid):
    """A mesh written as any of the accepted types is read back triangle by triangle, in millimetres."""
    mesh = load_mesh(_exported(ellipsoid, suffix), suffix, IN_OBJECT_FRAME, name="e")

    expected = (ellipsoid.triangles @ IN_OBJECT_FRAME[:3, :3].T).astype(np.float32)
    assert mesh.vertices_mm[mesh.faces] == pytest.approx(expected, abs=2e-5)
    assert (mesh.vertices_mm.dtype, mesh.faces.dtype, mesh.normals.dtype) == (np.float32, np.int32, np.float32)
    assert mesh.vertices_mm.flags.c_contiguous
    assert mesh.normals.shape == mesh.vertices_mm.shape
    assert mesh.centre_mm == pytest.approx((expected.min((0, 1)) + expected.max((0, 1))) / 2, abs=1e-4)
    assert mesh.colours is None
    assert mesh.uv is None
    assert mesh.texture is None


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
def test_normals_are_smooth_even_in_a_triangle_soup(suffix):
    """On a sphere the normals point away from its centre, also where a file repeats every corner (STL)."""
    sphere = trimesh.creation.icosphere(subdivisions=4, radius=50)

    mesh = load_mesh(_exported(sphere, suffix), suffix, SAME, name="s")

    assert np.linalg.norm(mesh.normals, axis=1) == pytest.approx(1, abs=1e-6)
    assert (mesh.normals * mesh.vertices_mm / 50).sum(axis=1).min() > 0.9999


def test_an_upper_case_ending_is_the_same_type(ellipsoid):
    """`.PLY` and `ply` are read alike."""
    upper, lower = (load_mesh(_exported(ellipsoid, ".ply"), kind, SAME, name="e") for kind in (".PLY", "ply"))

    assert (upper.vertices_mm == lower.vertices_mm).all()


def test_normals_are_weighted_by_area():
    """Where a large and a small face meet at a right angle, the normal leans to the large one by their areas."""
    vertices = np.array([[0, 0, 0], [3, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)  # areas 1.5 (normal +z) and 0.5 (normal +x)

    normals = smooth_normals(vertices, faces)

    assert normals[0] == pytest.approx(np.array([0.5, 0, 1.5]) / np.hypot(0.5, 1.5))
    assert normals[1] == pytest.approx([0, 0, 1])


def test_a_vertex_without_area_has_the_normal_zero():
    """A face that is a line gives no direction, and no NaN either."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]], np.float32)

    assert (smooth_normals(vertices, np.array([[0, 1, 2]], np.int32)) == 0).all()


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".glb"])
def test_vertex_colours_are_kept(suffix, ellipsoid):
    """Colours of vertices arrive unchanged and make the mesh a coloured one."""
    colours = np.random.default_rng(0).integers(0, 256, (len(ellipsoid.vertices), 3)).astype(np.uint8)
    coloured = trimesh.Trimesh(ellipsoid.vertices, ellipsoid.faces, vertex_colors=colours, process=False)

    mesh = load_mesh(_exported(coloured, suffix), suffix, SAME, name="c")

    assert mesh.colours.dtype == np.uint8
    assert (mesh.colours[mesh.faces] == colours[ellipsoid.faces]).all()


def test_a_texture_inside_the_file_is_kept():
    """A GLB brings its picture and its texture positions along; the seam stays open for them, not for the normals."""
    mesh = load_mesh(_exported(_textured_quad(), ".glb"), ".glb", SAME, name="t")

    assert (mesh.texture == np.arange(18).reshape(2, 3, 3) * 10).all()
    assert mesh.uv[mesh.faces] == pytest.approx(_textured_quad().visual.uv[_textured_quad().faces])
    assert len(mesh.vertices_mm) == 6
    at_origin = (mesh.vertices_mm == 0).all(axis=1)
    assert at_origin.sum() == 2
    assert (mesh.normals[at_origin] == mesh.normals[at_origin][0]).all()


def test_no_other_file_is_ever_opened(tmp_path, monkeypatch):
    """An OBJ that names a material library is read without it, though the library lies in the working folder."""
    Image.new("RGB", (2, 2), "red").save(tmp_path / "red.png")
    (tmp_path / "red.mtl").write_text("newmtl red\nmap_Kd red.png\n")
    monkeypatch.chdir(tmp_path)
    obj = b"mtllib red.mtl\nusemtl red\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n"

    mesh = load_mesh(obj, ".obj", SAME, name="o")

    assert mesh.faces.shape == (1, 3)
    assert mesh.texture is None
    assert mesh.colours is None


def test_points_without_faces_do_not_move_the_centre():
    """A stray vertex that no face uses is dropped."""
    obj = b"v 0 0 0\nv 900 0 0\nv 2 0 0\nv 0 2 0\nf 1 3 4\n"

    mesh = load_mesh(obj, ".obj", SAME, name="o")

    assert mesh.centre_mm == pytest.approx([1, 1, 0])
    assert mesh.vertices_mm[mesh.faces[0]] == pytest.approx(np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0]]))


def test_a_scene_becomes_one_mesh(ellipsoid):
    """All parts of a GLB scene are joined, each where the scene puts it."""
    scene = trimesh.Scene([ellipsoid])
    scene.add_geometry(ellipsoid, transform=trimesh.transformations.translation_matrix([0, 0, 10]))

    mesh = load_mesh(scene.export(file_type="glb"), "glb", SAME, name="s")

    assert len(mesh.faces) == 2 * len(ellipsoid.faces)
    assert mesh.bounds_mm == pytest.approx(np.add(ellipsoid.bounds, [[0, 0, 0], [0, 0, 10]]), abs=1e-5)


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
@pytest.mark.parametrize("damage", ["empty", "random", "text", "zeros"])
def test_bytes_that_are_no_mesh_are_refused_in_one_line(suffix, damage):
    """Whatever the bytes are, the user gets one line that begins with the file's name."""
    rng = np.random.default_rng(5)
    data = {"empty": b"", "random": rng.bytes(4000), "text": b"hello, this is no mesh\n" * 9, "zeros": bytes(500)}[
        damage
    ]

    with pytest.raises(DataError, match=r"\Ameshes/a\.x: ") as refusal:
        load_mesh(data, suffix, SAME, name="meshes/a.x")

    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("suffix", [".ply", ".stl", ".glb", ".off"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_a_truncated_file_is_refused(suffix, share, ellipsoid):
    """A file that says how much it holds is not believed when it holds less (OBJ does not say)."""
    data = _exported(ellipsoid, suffix)

    with pytest.raises(DataError, match=r"\Aa: "):
        load_mesh(data[: int(len(data) * share)], suffix, SAME, name="a")


@pytest.mark.parametrize(
    ("obj", "reason"),
    [
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "no faces"),
        (b"v 0 0 0\nv nan 0 0\nv 0 1 0\nf 1 2 3\n", "NaN or infinite"),
        (b"v 0 0 0\nv inf 0 0\nv 0 1 0\nf 1 2 3\n", "NaN or infinite"),
        (b"v 1e30 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "10 km"),
        (b"v 1 2 3\nv 1 2 3\nv 1 2 3\nf 1 2 3\n", "one point"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", ""),
    ],
)
def test_a_mesh_that_cannot_be_rendered_is_refused_with_the_reason(obj, reason):
    """No faces, coordinates that are no numbers, no extent: the message says which."""
    with pytest.raises(DataError, match=rf"\Aa: .*{reason}"):
        load_mesh(obj, ".obj", SAME, name="a")


def test_an_unknown_type_is_refused_with_the_known_ones():
    """The message lists what can be read."""
    with pytest.raises(DataError, match=r"a: .*'step'.*\.ply, \.obj, \.stl, \.glb, \.off"):
        load_mesh(b"x", ".step", SAME, name="a")


def test_mirroring_twice_is_the_identity(ellipsoid):
    """A mirrored mesh has the mirrored normals with its outside still outside, and mirrors back exactly."""
    mesh = Mesh.smooth(ellipsoid.vertices, ellipsoid.faces)
    mirrored = mesh.mirrored(centre_x_mm=1.0)

    assert mirrored.centre_mm == pytest.approx(mesh.centre_mm * [-1, 1, 1] + [2, 0, 0])
    assert smooth_normals(mirrored.vertices_mm, mirrored.faces) == pytest.approx(mirrored.normals, abs=1e-5)
    again = mirrored.mirrored(centre_x_mm=1.0)
    assert again.vertices_mm == pytest.approx(mesh.vertices_mm, abs=1e-6)
    assert (again.faces == mesh.faces).all()
    assert (again.normals == mesh.normals).all()


def test_moving_turns_the_normals_with_the_surface(ellipsoid):
    """A turned, shifted and scaled mesh has the normals that its own surface has."""
    mesh = Mesh.smooth(ellipsoid.vertices, ellipsoid.faces)
    a_from_b = rigid(IN_OBJECT_FRAME[:3, :3], [5, 6, 7])

    moved = mesh.moved(a_from_b)

    assert moved.vertices_mm == pytest.approx(mesh.vertices_mm @ a_from_b[:3, :3].T + a_from_b[:3, 3], abs=1e-4)
    assert moved.normals == pytest.approx(smooth_normals(moved.vertices_mm, moved.faces), abs=1e-5)


def test_a_mesh_is_frozen(ellipsoid):
    """No field of a mesh can be set."""
    mesh = Mesh.smooth(ellipsoid.vertices, ellipsoid.faces)

    for field in fields(mesh):
        with pytest.raises(AttributeError):
            setattr(mesh, field.name, None)


def test_ascii_files_are_read_too(ellipsoid):
    """PLY and STL have a text form."""
    ply = ellipsoid.export(file_type="ply", encoding="ascii")
    stl = ellipsoid.export(file_type="stl_ascii").encode()

    for data, kind in ((ply, "ply"), (stl, "stl")):
        mesh = load_mesh(data, kind, SAME, name="a")
        assert mesh.vertices_mm[mesh.faces] == pytest.approx(ellipsoid.triangles, abs=1e-4)
    assert io.BytesIO(stl).readline().startswith(b"solid")
