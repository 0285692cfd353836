"""A head 1.5 km from the origin gives what the same head gives at the origin."""

import io

import numpy as np
import pytest
import trimesh

from featurelib.datasets.shards.spec import RenderSpec
from featurelib.datasets.shards.views import object_views
from featurelib.datasets.synthetic import EAR_TIPS
from featurelib.errors import DataError
from featurelib.geometry import DEFAULT_RIG, Alignment, rigid
from featurelib.meshes import Mesh, load_mesh
from featurelib.meshes.conversion import as_ply
from featurelib.meshes.surface import closest_points
from featurelib.meshes.template import locate
from featurelib.meshes.writers.glb import write_glb
from featurelib.meshes.writers.ply import ply
from featurelib.models.refiner.crops import cameras_at, render_crops
from featurelib.rendering import open_renderer

FAR_MM = np.array([1_500_000.0, 800_000.0, -150_000.0])


@pytest.fixture(scope="module")
def pair(head) -> tuple[Mesh, Mesh, np.ndarray]:
    """The head at the origin, the same head far away, both read from PLY, and its landmarks near the origin."""
    vertices, faces, landmarks_mm = head()
    vertices = vertices.round(2).astype(np.float32).astype(np.float64)  # the poles become one point each
    near, far = (
        load_mesh(ply(where, faces.astype(np.int32)), "ply", np.eye(4), name="a")
        for where in (vertices.astype(np.float32), vertices + FAR_MM)
    )
    return near, far, landmarks_mm


def test_only_a_far_mesh_is_in_double_precision(pair):
    """It has the same faces, normals and, to a millionth of a millimetre, the same shape."""
    near, far, _ = pair

    assert (near.vertices_mm.dtype, far.vertices_mm.dtype) == (np.float32, np.float64)
    assert far.vertices_mm - FAR_MM == pytest.approx(near.vertices_mm, abs=1e-6)
    assert far.normals == pytest.approx(near.normals, abs=1e-4)
    assert (far.faces == near.faces).all()
    assert far.centre_mm - FAR_MM == pytest.approx(near.centre_mm, abs=1e-6)


@pytest.mark.parametrize("power", range(4, 23))
def test_vertices_are_held_to_a_thousandth_of_a_millimetre(power, ellipsoid):
    """At any distance that the limits allow, whatever moved the mesh there."""
    vertices = ellipsoid.vertices + 2.0**power
    moved = Mesh.smooth(ellipsoid.vertices, ellipsoid.faces).moved(rigid(np.eye(3), np.full(3, 2.0**power)))

    assert np.abs(Mesh.smooth(vertices, ellipsoid.faces).vertices_mm - vertices).max() < 1e-3
    assert np.abs(moved.vertices_mm - vertices).max() < 1e-3
    mirrored = moved.mirrored(2.0**power)
    assert mirrored.vertices_mm == pytest.approx(vertices * [-1, 1, 1] + [2 ** (power + 1), 0, 0], abs=3e-3)


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
@pytest.mark.parametrize("is_coloured", [False, True])
def test_images_and_labels_are_the_same(pair, projection, is_coloured):
    """Rows of a shard have equal positions, and images in which hardly a pixel differs."""
    near, far, landmarks_mm = pair
    if is_coloured:
        colours = np.random.default_rng(0).integers(0, 256, near.vertices_mm.shape)
        near, far = (Mesh.smooth(mesh.vertices_mm, mesh.faces, colours=colours) for mesh in (near, far))
    spec = RenderSpec("mm", Alignment(), projection, 400.0, 128, DEFAULT_RIG, "raster")
    labels = {"object_id": "a", "group": "a", "split": "train", "absent": [False, False]}
    renderer = open_renderer("raster")

    rows, far_rows = (
        object_views(mesh, {**labels, "landmarks": points_mm.ravel()}, EAR_TIPS, "0", spec, renderer)
        for mesh, points_mm in ((near, landmarks_mm), (far, landmarks_mm + FAR_MM))
    )
    images, far_images = (list(renderer.render(mesh, spec.cameras(mesh.centre_mm), 128)) for mesh in (near, far))

    for row, far_row in zip(rows, far_rows, strict=True):
        assert far_row["landmarks_xy"] == pytest.approx(row["landmarks_xy"], abs=1e-8)
        assert [far_row[k] for k in ("landmarks_visible", "near")] == [row[k] for k in ("landmarks_visible", "near")]
        far_mm = np.reshape(far_row["landmarks_mm"], (-1, 3)) - FAR_MM
        assert far_mm.ravel() == pytest.approx(row["landmarks_mm"], abs=1e-6)
    for image, far_image in zip(images, far_images, strict=True):
        assert (image.pixels != far_image.pixels).mean() < 0.01
        seen = np.isfinite(image.depth_mm) & np.isfinite(far_image.depth_mm)
        assert np.median(np.abs(image.depth_mm[seen] - far_image.depth_mm[seen])) < 1e-3


def test_crops_are_the_same(pair):
    """Close-up renders around a landmark differ in hardly a pixel, by one step of brightness."""
    near, far, landmarks_mm = pair
    views = DEFAULT_RIG.views

    crops = render_crops(near, cameras_at(views, landmarks_mm[0], 40), 64)
    far_crops = render_crops(far, cameras_at(views, landmarks_mm[0] + FAR_MM, 40), 64)

    assert (crops != far_crops).mean() < 0.01
    assert np.median(crops) == np.median(far_crops)


def test_closest_points_and_registration_are_the_same(pair, mean):
    """After moving them back they agree to 0.001 mm and 0.01 mm."""
    near, far, _ = pair
    points = np.random.default_rng(0).normal(0, 90, (50, 3))

    closest = closest_points(points, near.vertices_mm, near.faces)[0]
    assert closest_points(points + FAR_MM, far.vertices_mm, far.faces)[0] - FAR_MM == pytest.approx(closest, abs=1e-3)

    located, far_located = (locate(mean, mesh.vertices_mm, mesh.faces) for mesh in (near, far))
    assert far_located.landmarks_mm - FAR_MM == pytest.approx(located.landmarks_mm, abs=0.01)
    assert far_located.whole.scale == pytest.approx(located.whole.scale, rel=1e-6)


def test_a_glb_has_the_shape_and_the_place(pair):
    """Positions of glTF are float32: the mesh's place is in its node. A near mesh has none."""
    near, far, _ = pair

    again = load_mesh(write_glb(far), "glb", np.eye(4), name="a")
    assert again.vertices_mm == pytest.approx(far.vertices_mm, abs=1e-4)
    assert trimesh.load(io.BytesIO(write_glb(far)), file_type="glb").bounds == pytest.approx(far.bounds_mm, abs=1e-3)
    assert b"translation" not in write_glb(near)


def test_a_converted_file_keeps_its_precision(pair):
    """Formats that trimesh reads become PLY, in double precision if the mesh is far from its origin."""
    near, far, _ = pair
    for mesh, name in ((near, b"float"), (far, b"double")):
        content = as_ply(ply(mesh.vertices_mm, mesh.faces), ".ply", "a.ply")
        assert b"property %s x" % name in content
        again = load_mesh(content, "ply", np.eye(4), name="a")
        assert again.vertices_mm == pytest.approx(mesh.vertices_mm, abs=1e-6)


def test_a_file_in_single_precision_may_not_be_so_far(head):
    """At 4 km its steps are 0.25 mm; in double precision the same place is accepted."""
    vertices, faces, _ = head()
    vertices = vertices + np.array([4_000_000, 0, 0])

    assert len(load_mesh(ply(vertices, faces.astype(np.int32)), "ply", np.eye(4), name="a").faces) == len(faces)
    with pytest.raises(DataError, match=r"expected at most .* mm in single precision \(move it to the origin\)"):
        load_mesh(ply(vertices.astype(np.float32), faces.astype(np.int32)), "ply", np.eye(4), name="a")
