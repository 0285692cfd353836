import io

import numpy as np
import pytest
import trimesh
from PIL import Image

from featurelib.meshes import load_mesh
from featurelib.meshes.plain_colours import without_plain_colours
from featurelib.meshes.readers.polygons import RawMesh

RANDOM = np.random.default_rng(0)
VERTICES = RANDOM.normal(0, 50, (60, 3))
FACES = np.arange(60).reshape(-1, 3)
PHOTOGRAPH = 120 + 80 * np.sin(np.arange(64)[:, None] / 7) * np.cos(np.arange(64) / 9)


def _jpeg(pixels, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 180, 160)])
@pytest.mark.parametrize("kind", ["ply", "glb", "obj", "off", "vtp"])
def test_one_colour_is_none(colour, kind, ellipsoid, exported):
    """A mesh of one colour is the mesh without colours, in every format, with a note."""
    coloured = trimesh.Trimesh(ellipsoid.vertices, ellipsoid.faces, process=False)
    if kind != "off":
        coloured.visual.vertex_colors = np.tile([*colour, 255], (len(ellipsoid.vertices), 1))
    plain = load_mesh(exported(ellipsoid, kind), kind, np.eye(4), name="a")
    mesh = load_mesh(exported(coloured, kind), kind, np.eye(4), name="a")

    assert (mesh.colours, mesh.texture) == (None, None)
    assert mesh.vertices_mm.tobytes() == plain.vertices_mm.tobytes()
    assert mesh.normals.tobytes() == plain.normals.tobytes()
    if kind != "off":
        assert mesh.notes == (f"colours are all {colour[0]} {colour[1]} {colour[2]}: drawn without them",)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (17, 3, 9)])
@pytest.mark.parametrize("noise", [0, 0.3])
@pytest.mark.parametrize("quality", [50, 75, 85])
def test_a_texture_of_one_colour_is_none(colour, noise, quality):
    """Also after JPEG, with the noise of a lens cap."""
    texture = _jpeg(colour + RANDOM.normal(0, noise, (64, 64, 3)), quality)
    mesh = without_plain_colours(RawMesh(VERTICES, FACES, None, RANDOM.random((60, 2)), texture))

    assert (mesh.uv, mesh.texture) == (None, None)
    assert mesh.notes[0].startswith("the texture is ")
    assert mesh.notes[0].endswith(" everywhere: drawn without it")


@pytest.mark.parametrize("brightness", [1, 0.2, 0.05, 0.03])
def test_a_dark_texture_that_carries_something_is_kept(brightness):
    """A photograph at 3 % of its brightness is the same mesh, without a note."""
    texture = np.rint(PHOTOGRAPH[..., None] * brightness * np.ones(3)).astype(np.uint8)
    raw = RawMesh(VERTICES, FACES, None, RANDOM.random((60, 2)), texture)

    assert without_plain_colours(raw) is raw


def test_a_single_vertex_of_another_colour_is_kept():
    """Nothing is left out that was painted by hand, wherever it is."""
    for place in (0, 1, 59):
        colours = np.zeros((60, 3), np.uint8)
        colours[place] = 255, 0, 0
        raw = RawMesh(VERTICES, FACES, colours)
        assert without_plain_colours(raw) is raw


def test_only_the_part_of_a_texture_that_is_used_counts():
    """The black of a palette hides the shading, another colour does not; positions outside repeat the texture."""
    palette = np.zeros((8, 8, 3), np.uint8)
    palette[:, 4:] = 255
    uv = np.full((60, 2), 0.25) + RANDOM.uniform(-0.1, 0.1, (60, 2))

    assert without_plain_colours(RawMesh(VERTICES, FACES, None, uv, palette)).texture is None
    for kept in (uv + 1, uv * 2, uv + np.array([0.5, 0])):
        assert without_plain_colours(RawMesh(VERTICES, FACES, None, kept, palette)).texture is palette


def test_colours_behind_a_plain_texture_count():
    """The vertex colours are drawn where the texture is left out, unless they are of one colour too."""
    colours = RANDOM.integers(0, 256, (60, 3)).astype(np.uint8)
    black = np.zeros((4, 4, 3), np.uint8)
    raw = RawMesh(VERTICES, FACES, colours, RANDOM.random((60, 2)), black)

    assert without_plain_colours(raw).colours is colours
    both = without_plain_colours(raw._replace(colours=np.zeros_like(colours)))
    assert both.colours is None
    assert len(both.notes) == 2
