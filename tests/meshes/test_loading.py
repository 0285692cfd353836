import re
import subprocess
import sys

import numpy as np
import pytest
import trimesh

from featurelib.errors import DataError
from featurelib.geometry import rigid
from featurelib.meshes import MESH_SUFFIXES, Limits, load_mesh

SAME = np.eye(4)
IN_OBJECT_FRAME = rigid(25.4 * trimesh.transformations.rotation_matrix(0.7, [1, 2, 3])[:3, :3])
"""Inches, and other axes."""

TRIANGLE = b"v 0 0 0\nv 3 0 0\nv 0 2 0\nf 1 2 3\n"


@pytest.mark.parametrize("kind", [*MESH_SUFFIXES, ".ply_ascii", ".stl_ascii"])
def test_every_file_type_gives_the_same_surface(kind, ellipsoid, exported):
    """A mesh written as any of the accepted types is read with the same triangles, in millimetres."""
    mesh = load_mesh(exported(ellipsoid, kind), kind.removesuffix("_ascii"), IN_OBJECT_FRAME, name="e")

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
def test_normals_are_smooth_even_in_a_triangle_soup(suffix, exported):
    """The normals of a sphere point away from its centre, also if the file repeats every corner (STL)."""
    sphere = trimesh.creation.icosphere(subdivisions=3, radius=50)

    mesh = load_mesh(exported(sphere, suffix), suffix, SAME, name="s")

    assert np.linalg.norm(mesh.normals, axis=1) == pytest.approx(1, abs=1e-6)
    assert (mesh.normals * mesh.vertices_mm / 50).sum(axis=1).min() > 0.999


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".glb", ".ply_ascii"])
def test_vertex_colours_are_kept(suffix, ellipsoid, exported):
    """Colours of vertices are unchanged."""
    colours = np.random.default_rng(0).integers(0, 256, (len(ellipsoid.vertices), 3)).astype(np.uint8)
    coloured = trimesh.Trimesh(ellipsoid.vertices, ellipsoid.faces, vertex_colors=colours, process=False)

    mesh = load_mesh(exported(coloured, suffix), suffix[:4], SAME, name="c")

    assert mesh.colours.dtype == np.uint8
    assert (mesh.colours[mesh.faces] == colours[ellipsoid.faces]).all()


def test_an_upper_case_ending_is_the_same_type(ellipsoid, exported):
    """`.PLY` and `ply` give the same mesh."""
    upper, lower = (load_mesh(exported(ellipsoid, ".ply"), kind, SAME, name="e") for kind in (".PLY", "ply"))

    assert (upper.vertices_mm == lower.vertices_mm).all()


def test_points_without_faces_do_not_move_the_centre():
    """A vertex that no face uses is removed with its colour."""
    obj = b"v 0 0 0 1 0 0\nv 900 0 0 0 0 0\nv 2 0 0 0 1 0\nv 0 2 0 0 0 1\nf 1 3 4\n"

    mesh = load_mesh(obj, ".obj", SAME, name="o")

    assert mesh.centre_mm == pytest.approx([1, 1, 0])
    assert mesh.vertices_mm[mesh.faces[0]] == pytest.approx(np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0]]))
    assert (mesh.colours[mesh.faces[0]] == 255 * np.eye(3)).all()


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
@pytest.mark.parametrize("damage", ["empty", "random", "text", "zeros"])
def test_bytes_that_are_no_mesh_are_rejected_in_one_line(suffix, damage):
    """The error is one line that begins with the file's name."""
    rng = np.random.default_rng(5)
    text = b"hello, this is no mesh\n" * 9
    data = {"empty": b"", "random": rng.bytes(4000), "text": text, "zeros": bytes(500)}[damage]

    with pytest.raises(DataError, match=r"\Ameshes/a\.x: ") as error:
        load_mesh(data, suffix, SAME, name="meshes/a.x")

    assert str(error.value).isprintable()
    assert "empty" in str(error.value) or damage != "empty"


@pytest.mark.parametrize("kind", [".ply", ".ply_ascii", ".stl", ".stl_ascii", ".glb", ".off"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_a_truncated_file_is_rejected(kind, share, ellipsoid, exported):
    """A file that is smaller than its header announces is an error; OBJ has no such header."""
    data = exported(ellipsoid, kind)

    with pytest.raises(DataError, match=r"\Aa: "):
        load_mesh(data[: int(len(data) * share)], kind[:4], SAME, name="a")


@pytest.mark.parametrize("kind", [".ply", ".stl", ".stl_ascii", ".glb"])
def test_a_file_without_its_last_byte_is_cut_off(kind, ellipsoid, exported):
    """The message is that the file is cut off."""
    data = exported(ellipsoid, kind).rstrip(b"\n")

    with pytest.raises(DataError, match="cut off"):
        load_mesh(data[:-1], kind[:4], SAME, name="a")


@pytest.mark.parametrize(
    ("obj", "reason"),
    [
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "no faces; a point cloud cannot be rendered (reconstruct its surface)"),
        (
            TRIANGLE.replace(b"3 0 0", b"3 nan 0"),
            "vertex 1 is NaN or infinite: (3, nan, 0); expected finite numbers (export it again)",
        ),
        (
            TRIANGLE.replace(b"3 0 0", b"3 -inf 0"),
            "vertex 1 is NaN or infinite: (3, -inf, 0); expected finite numbers (export it again)",
        ),
        (
            TRIANGLE.replace(b"3 0 0", b"3e400 0 0"),
            "vertex 1 is NaN or infinite: (inf, 0, 0); expected finite numbers (export it again)",
        ),
        (b"v 1 2 3\nv 1 2 3\nv 1 2 3\nf 1 2 3\n", "all vertices are at one point, (1, 2, 3) mm; expected a surface"),
        (
            b"v 0 0 0\nv 1 1 1\nv 2 2 2\nf 1 2 3\nf 1 1 3\n",
            "none of its 2 faces has an area; expected a surface, not lines or points",
        ),
        (
            TRIANGLE.replace(b"3 0 0", b"3e6 0 0"),
            "3e+06 mm along its longest edge; expected 0.1 to 100000 mm (check the unit)",
        ),
        (
            b"v 0 0 0\nv 2e-4 0 0\nv 0 3e-5 0\nf 1 2 3\n",
            "0.0002 mm along its longest edge; expected 0.1 to 100000 mm (check the unit)",
        ),
        (
            b"v 2e7 0 0\nv 20009000 0 0\nv 2e7 9000 0\nf 1 2 3\n",
            "a vertex is 2.0009e+07 mm from the origin, in a mesh of 9000 mm; expected at most 1e+07 mm "
            "(move it to the origin)",
        ),
    ],
)
def test_a_mesh_that_cannot_be_rendered_is_rejected_with_the_reason(obj, reason):
    """The message names the fault: no faces, coordinates that are not numbers, no extent, an implausible size."""
    with pytest.raises(DataError) as error:
        load_mesh(obj, ".obj", SAME, name="a.obj")

    assert str(error.value) == f"a.obj: {reason}"


@pytest.mark.parametrize(("mm_per_unit", "fits"), [(1, True), (1000, True), (1e-3, False), (1e6, False)])
def test_the_size_is_checked_after_the_alignment(mm_per_unit, fits):
    """A size of 3 units is accepted in mm and m, and rejected in micrometres and kilometres."""
    object_from_source = np.diag([mm_per_unit, mm_per_unit, mm_per_unit, 1])

    if fits:
        mesh = load_mesh(TRIANGLE, "obj", object_from_source, name="a")
        assert np.ptp(mesh.bounds_mm, axis=0).max() == pytest.approx(3 * mm_per_unit)
    else:
        with pytest.raises(DataError, match=rf"\Aa: {re.escape(f'{3 * mm_per_unit:g}')} mm .*unit"):
            load_mesh(TRIANGLE, "obj", object_from_source, name="a")


def test_a_sheet_with_two_sides_is_a_surface():
    """The normals of two opposite faces cancel, but the faces have an area."""
    mesh = load_mesh(TRIANGLE + b"f 3 2 1\n", ".obj", SAME, name="sheet")

    assert len(mesh.faces) == 2
    assert not mesh.normals.any()


def test_an_unknown_type_is_rejected_with_the_known_ones():
    """The message lists the types that can be read."""
    with pytest.raises(DataError, match=r"\Aa: .*'step'.*\.ply, \.obj, \.stl, \.glb, \.off"):
        load_mesh(b"x", ".step", SAME, name="a")


def test_a_file_larger_than_the_limit_is_rejected():
    """The message has the size and the limit."""
    with pytest.raises(DataError, match=r"\Aa: 32 bytes; expected at most 20"):
        load_mesh(TRIANGLE, ".obj", SAME, name="a", limits=Limits(max_file_bytes=20))


OPENS_NOTHING = """
import sys
import numpy as np
from featurelib.errors import DataError
from featurelib.meshes import load_mesh

opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
for kind, path in (argument.split("=") for argument in sys.argv[1:]):
    with open(path, "rb") as file:
        data = file.read()
    try:
        print("faces", len(load_mesh(data, kind, np.eye(4), name=path).faces))
    except DataError as error:
        print("rejected", error)
print("canaries", [path for path in opened if "canary" in path or "passwd" in path])
"""


def test_no_other_file_is_ever_opened(tmp_path, glb, triangle):
    """Files that refer to others, in their folder and in /etc, are read without them or rejected, without warnings."""
    for canary in ("canary.mtl", "canary.png", "canary.bin"):
        (tmp_path / canary).write_bytes(b"newmtl m\nmap_Kd /etc/passwd\n")
    document, binary = triangle
    files = {
        "a.obj": b"mtllib ../" + tmp_path.name.encode() + b"/canary.mtl\nmtllib canary.mtl\nusemtl m\n" + TRIANGLE,
        "b.ply": b"ply\nformat ascii 1.0\ncomment TextureFile canary.png\nelement vertex 3\nproperty float x\n"
        b"property float y\nproperty float z\nproperty float s\nproperty float t\nelement face 1\n"
        b"property list uchar int vertex_indices\nend_header\n0 0 0 0 0\n3 0 0 1 0\n0 2 0 0 1\n3 0 1 2\n",
        "c.glb": glb(document | {"buffers": [{"byteLength": 48, "uri": "canary.bin"}]}, binary),
        "d.glb": glb(document | {"images": [{"uri": "file:///etc/passwd"}]}, binary),
        "e.obj": b"v 0 0 0\nv 1 x 0\nf 1 2 3\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    arguments = [f"{name[2:]}={name}" for name in files]
    done = subprocess.run(
        [sys.executable, "-c", OPENS_NOTHING, *arguments], cwd=tmp_path, capture_output=True, text=True
    )

    assert done.stderr == ""
    obj, ply, buffer, image, word, canaries = done.stdout.splitlines()
    assert (obj, ply, image) == ("faces 1",) * 3
    fix = "which is never opened; export one .glb with everything inside"
    assert buffer == f'rejected c.glb: refers to another file, "canary.bin", {fix}'
    assert word == "rejected e.obj: 'x'; expected a number (the file is damaged)"
    assert canaries == "canaries []"


def test_an_unexpected_error_of_a_reader_is_one_line():
    """The message has the type of the error, such as MemoryError, and its reason."""
    huge = Limits(max_coordinate_mm=1e300, max_size_mm=1e300, max_offset_sizes=1e300)

    with pytest.raises(DataError, match=r"\Aa: cannot be read, \w+Error: .* \(the file is damaged\)\Z"):
        load_mesh(TRIANGLE, ".obj", np.eye(3, 2), name="a", limits=huge)


def test_undefined_vertices_that_no_face_uses_do_not_matter():
    """They are removed like all others without a face."""
    mesh = load_mesh(TRIANGLE.replace(b"f ", b"v nan nan nan\nv 1 inf 0\nf "), ".obj", SAME, name="a")

    assert len(mesh.vertices_mm) == 3
    assert mesh.notes == ()


@pytest.mark.parametrize("kind", [".ply_ascii", ".obj", ".stl_ascii", ".off"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-16-be mark"])
def test_text_may_be_in_any_unicode(kind, encoding, ellipsoid, exported):
    """As PowerShell and editors on Windows save it; an encoding that is not kept is an error of one line."""
    text = exported(ellipsoid, kind).decode()
    encoding, _, mark = encoding.partition(" ")

    mesh = load_mesh((f"\ufeff{text}" if mark else text).encode(encoding), kind.split("_")[0], SAME, name="a")

    whole = load_mesh(text.encode(), kind.split("_")[0], SAME, name="a")
    assert (mesh.vertices_mm == whole.vertices_mm).all()
    assert (mesh.faces == whole.faces).all()
    with pytest.raises(DataError, match="begins as text in UTF-16, and is not"):
        load_mesh(b"s\0o\0l\0i\0d\0 \0\x00\xd8\n\0", kind.split("_")[0], SAME, name="a")


@pytest.mark.parametrize(
    ("count", "bad", "fits"), [(199, 1, False), (200, 1, True), (1999, 2, False), (2000, 2, True), (4000, 1, True)]
)
def test_a_negligible_share_of_faces_may_have_an_undefined_corner(count, bad, fits):
    """One face in two hundred, or one in a thousand, are left out with a note, with their vertices."""
    vertices = np.random.default_rng(0).uniform(-50, 50, (3 * count, 3))
    vertices[4 : 4 + 3 * bad : 3, 1] = np.nan
    rows = np.zeros(count, [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    rows["corners"] = vertices.reshape(count, 3, 3)
    data = bytes(80) + count.to_bytes(4, "little") + rows.tobytes()

    if fits:
        mesh = load_mesh(data, ".stl", SAME, name="a")
        assert len(mesh.faces) == count - bad
        assert np.isfinite(mesh.vertices_mm).all()
        assert mesh.notes == (f"left out {bad} of {count:,} faces with a NaN or infinite corner",)
    else:
        with pytest.raises(DataError, match="vertex 4 is NaN or infinite"):
            load_mesh(data, ".stl", SAME, name="a")
