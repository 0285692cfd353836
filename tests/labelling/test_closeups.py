"""Close-ups show where a label is on the surface."""

import numpy as np
import pytest
import trimesh

from featurelib.geometry import LandmarkSet
from featurelib.labelling.closeups import SIZE_PX, CloseUps, close_ups, mirrored, predicted_mm
from featurelib.meshes import Mesh

PAIR = LandmarkSet.single_pair("bump")
TIPS = np.array([[52.0, 6, 0], [-52.0, 6, 0]])


def bumped(seed: int) -> Mesh:
    """A ball of radius 50 with a small ball at each of TIPS, of varying size."""
    radius = np.random.default_rng(seed).uniform(6, 8)
    parts = [trimesh.creation.icosphere(3, radius=50)]
    parts += [trimesh.creation.icosphere(2, radius=radius).apply_translation(tip * 0.93) for tip in TIPS]
    joined = trimesh.util.concatenate(parts)
    return Mesh.smooth(joined.vertices, joined.faces)


def seen(mesh: Mesh, labels_mm: np.ndarray) -> CloseUps:
    return close_ups(mesh, labels_mm, np.eye(3), labels_mm)


def test_the_close_ups_of_a_symmetric_object_are_mirror_images():
    """The right one, mirrored, is the left one."""
    left, right = seen(bumped(0), TIPS).images

    assert np.abs(mirrored(right).astype(int) - left).mean() < 3


def test_the_axes_are_those_of_the_image():
    """Seen from the left, a pixel to the right is towards -z, and a pixel down towards -y."""
    found = seen(bumped(0), np.array([[50.0, 0, 0], [np.nan] * 3]))
    right, down = found.axes_mm[0].T

    assert right / np.linalg.norm(right) == pytest.approx([0, 0, -1])
    assert down / np.linalg.norm(down) == pytest.approx([0, -1, 0])
    assert np.isnan(found.axes_mm[1]).all()
    assert not found.images[1].any()
    assert found.images.shape == (2, SIZE_PX, SIZE_PX, 3)


def test_a_slip_is_found_with_its_direction():
    """A label 5 mm beside its bump is predicted on the bump, by models of the other objects."""
    labels_mm = np.repeat(TIPS[None], 16, axis=0)
    labels_mm[3, 0] += [0, 0, 5]
    labels_mm[6, 1] += [0, -5, 0]
    rows = [seen(bumped(i), labels_mm[i]) for i in range(16)]

    found_mm = predicted_mm(PAIR, labels_mm, *(np.array(values) for values in zip(*rows, strict=True)))

    errors_mm = np.linalg.norm((found_mm - TIPS)[..., 1:], axis=2)
    assert errors_mm.max() < 2.5
    assert np.median(errors_mm) < 1
