"""Views of one object in both parts of a split make the error look smaller than it is."""

import numpy as np
import pytest

from featurelib.datasets.splits import split_of
from featurelib.datasets.synthetic import make_body
from featurelib.geometry import Rig, lens_for
from featurelib.meshes import Mesh, smooth_normals
from featurelib.rendering import open_renderer

OBJECTS, VIEWS, SIZE = 16, 13, 64


@pytest.fixture(scope="module")
def views():
    """Views of few objects at many close angles: object number, image (64 * 64,), left landmark's position (2,)."""
    rig, renderer = Rig.evenly(VIEWS, 30.0), open_renderer("raster")
    rows = []
    for number in range(OBJECTS):
        body = make_body(number)
        mesh = Mesh(body.vertices_mm, body.faces, smooth_normals(body.vertices_mm, body.faces))
        cameras = rig.cameras(mesh.centre_mm, lens_for("orthographic", 400.0), 400.0)
        images = renderer.render(mesh, cameras, SIZE)
        rows += [
            (number, p.pixels.ravel() / 255, c.project(body.landmarks_mm[0]))
            for p, c in zip(images, cameras, strict=True)
        ]
    return [np.array(column) for column in zip(*rows, strict=True)]


def error_pct(views, held_out):
    """Return the error in % of the width if each held-out image gets the label of the most similar training image."""
    _, images, xy = views
    distances = ((images[held_out][:, None] - images[~held_out][None]) ** 2).sum(-1)
    return 100 * np.linalg.norm(xy[~held_out][distances.argmin(1)] - xy[held_out], axis=-1).mean()


def test_a_split_by_image_underestimates_the_error_on_new_objects(views):
    """Looking up the nearest image has a small error by image and a large one by object."""
    objects = views[0]
    by_image = np.random.default_rng(0).random(len(objects)) < 0.25
    by_object = np.array([split_of(f"body-{number:05d}") != "train" for number in objects])
    assert by_object.any()

    assert error_pct(views, by_image) < 0.5 * error_pct(views, by_object)
