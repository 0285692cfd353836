"""The template baseline, on ellipsoids with bumps whose landmarks are known exactly."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from featurelib.errors import DataError
from featurelib.meshes.surface import closest_points
from featurelib.meshes.template import Template, build_template, locate


@pytest.fixture(scope="module")
def single(head) -> Template:
    """The template of one head, which is that head."""
    return build_template([head()])


def test_the_template_of_one_shape_is_that_shape(head, single: Template) -> None:
    """Its points are on the surface, and its pair is the shape's, relative to the centre of the bounding box."""
    vertices, faces, landmarks_mm = head()
    centre_mm = landmarks_mm.mean(axis=0) - single.landmarks_mm.mean(axis=0)

    np.testing.assert_allclose(single.landmarks_mm + centre_mm, landmarks_mm, atol=0.1)
    assert closest_points(single.points_mm + centre_mm, vertices, faces)[1].mean() < 0.05
    np.testing.assert_allclose(single.points_mm.min(axis=0), -single.points_mm.max(axis=0), atol=1e-9)


def test_a_copy_of_the_shape_gets_its_own_landmarks(head, single: Template) -> None:
    """The predicted pair of a rotated, scaled and translated copy is the copy's."""
    vertices, faces, landmarks_mm = head()
    similarity = Rotation.from_euler("yx", [12, -7], degrees=True).as_matrix() * 0.8
    shift = np.array([5.0, 60.0, -10.0])

    found = locate(single, vertices @ similarity.T + shift, faces)

    np.testing.assert_allclose(found.landmarks_mm, landmarks_mm @ similarity.T + shift, atol=0.4)
    assert found.whole.residual_mm < 0.1


def test_landmarks_move_with_the_object(family, mean: Template) -> None:
    """The landmarks of a translated and scaled object are translated and scaled with it."""
    vertices, faces, _ = family(1, seed=3)[0]

    found, moved = locate(mean, vertices, faces), locate(mean, vertices * 2 + 50, faces)

    np.testing.assert_allclose(moved.landmarks_mm, found.landmarks_mm * 2 + 50, atol=1e-6)
    np.testing.assert_allclose(moved.snap_mm, found.snap_mm * 2, atol=1e-6)


def test_landmarks_are_on_the_surface(family, mean: Template) -> None:
    """The pair is the closest surface point of the unsnapped pair, and `snap_mm` is the distance between them."""
    vertices, faces, _ = family(1, seed=4)[0]

    found = locate(mean, vertices, faces)

    assert closest_points(found.landmarks_mm, vertices, faces)[1].max() < 1e-9
    np.testing.assert_array_equal(found.landmarks_mm, closest_points(found.unsnapped_mm, vertices, faces)[0])
    np.testing.assert_allclose(
        found.snap_mm, np.linalg.norm(found.landmarks_mm - found.unsnapped_mm, axis=1), atol=1e-12
    )


def test_the_mean_of_a_family_locates_landmarks_of_new_members(family, mean: Template) -> None:
    """On heads that are not in the mean the error is several times smaller than that of the mean landmark."""
    training, new = family(6), family(6, seed=1)
    mean_landmarks_mm = np.mean([landmarks_mm for _, _, landmarks_mm in training], axis=0)

    errors = [np.linalg.norm(locate(mean, v, f).landmarks_mm - landmarks_mm, axis=1) for v, f, landmarks_mm in new]

    baseline = [np.linalg.norm(mean_landmarks_mm - landmarks_mm, axis=1) for _, _, landmarks_mm in new]
    assert np.mean(errors) < 4
    assert np.mean(errors) < np.mean(baseline) / 4


def test_building_and_locating_are_deterministic(family, mean: Template) -> None:
    """The same shapes and seed give the same template and the same landmarks, to the last bit."""
    again = build_template(family(6), num_points=800)
    vertices, faces, _ = family(1, seed=2)[0]

    np.testing.assert_array_equal(again.points_mm, mean.points_mm)
    np.testing.assert_array_equal(again.landmarks_mm, mean.landmarks_mm)
    np.testing.assert_array_equal(
        locate(again, vertices, faces).landmarks_mm, locate(mean, vertices, faces).landmarks_mm
    )


def test_a_template_survives_its_bytes(mean: Template) -> None:
    """A template that is written and read is equal, and always gives the same bytes."""
    content = mean.to_bytes()

    read = Template.from_bytes(content)

    np.testing.assert_array_equal(read.points_mm, mean.points_mm)
    np.testing.assert_array_equal(read.landmarks_mm, mean.landmarks_mm)
    assert read.to_bytes() == content


def test_bytes_that_are_no_template_are_rejected_by_name(mean: Template) -> None:
    """Other files, truncated files and other shapes raise an error of one line that names the file."""
    wrong_shape = Template(mean.points_mm, mean.landmarks_mm[:1]).to_bytes()

    for content in (b"", b"no npz", mean.to_bytes()[:-40], wrong_shape):
        with pytest.raises(DataError, match=r"^lifter/template\.npz: .*expected"):
            Template.from_bytes(content, name="lifter/template.npz")


def test_a_template_needs_a_shape() -> None:
    """An empty training split is an error."""
    with pytest.raises(DataError, match="no training shapes"):
        build_template([])
