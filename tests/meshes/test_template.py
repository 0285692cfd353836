"""The template baseline, on ellipsoids with bumps whose landmarks are known exactly."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from featurelib.errors import DataError
from featurelib.meshes.surface import closest_points
from featurelib.meshes.template import ALONE, MIN_LABELS, Template, build_template, chosen_shapes, groups, locate


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
    wrong_shape = Template(mean.points_mm, mean.landmarks_mm[:, :2]).to_bytes()

    for content in (b"", b"no npz", mean.to_bytes()[:-40], wrong_shape):
        with pytest.raises(DataError, match=r"^lifter/template\.npz: .*expected"):
            Template.from_bytes(content, name="lifter/template.npz")


def test_a_template_needs_a_shape() -> None:
    """An empty training split is an error."""
    with pytest.raises(DataError, match="no training shapes"):
        build_template([])


def on_surface(template: Template, count: int) -> Template:
    """Return the template with `count` of its points as landmarks."""
    return Template(
        template.points_mm, template.points_mm[np.linspace(0, len(template.points_mm) - 1, count).astype(int)]
    )


@pytest.mark.parametrize("count", [1, 2, 3, 5, 300])
def test_every_landmark_is_in_one_group(mean: Template, count) -> None:
    """The groups are a partition; a few landmarks are alone, many share registrations."""
    found = groups(on_surface(mean, count))

    assert sorted(np.concatenate(found)) == list(range(count))
    if count <= ALONE:
        assert len(found) == count
    if count == 300:
        assert len(found) < 100


def test_more_landmarks_do_not_move_those_that_are_alone(family, mean: Template) -> None:
    """A pair is located in the same place in a larger set, if no other landmark is near."""
    vertices, faces, _ = family(1, seed=5)[0]
    nose = mean.points_mm[mean.points_mm[:, 2].argmax()]
    cluster = nose + np.random.default_rng(0).normal(size=(8, 3))
    more = Template(mean.points_mm, np.concatenate([mean.landmarks_mm, cluster]))

    pair, found = locate(mean, vertices, faces), locate(more, vertices, faces)

    assert len(groups(more)) == 3
    np.testing.assert_array_equal(found.landmarks_mm[:2], pair.landmarks_mm)
    np.testing.assert_array_equal(found.near_residual_mm[:2], pair.near_residual_mm)
    assert found.landmarks_mm.shape == (10, 3)
    assert found.snap_mm.shape == found.near_residual_mm.shape == (10,)


def test_unlabelled_landmarks_do_not_poison_the_mean(family) -> None:
    """A mean landmark is that of the shapes that have it; the points do not depend on labels."""
    shapes = family(4)
    holed = [(vertices, faces, labels.copy()) for vertices, faces, labels in shapes]
    holed[0][2][1] = holed[2][2][0] = np.nan

    whole, partial = build_template(shapes, num_points=500), build_template(holed, num_points=500)

    np.testing.assert_array_equal(partial.points_mm, whole.points_mm)
    np.testing.assert_allclose(partial.landmarks_mm, whole.landmarks_mm, atol=5)
    assert np.isfinite(partial.landmarks_mm).all()


def test_a_landmark_without_any_label_is_named(family) -> None:
    """The error has its name and what to do."""
    shapes = [(vertices, faces, np.array([labels[0], [np.nan] * 3])) for vertices, faces, labels in family(2)]

    with pytest.raises(DataError, match=r"'nasion' is labelled on none of 2 training objects; label it"):
        build_template(shapes, names=("tip", "nasion"), num_points=100)


def test_shapes_are_chosen_evenly_and_for_rare_landmarks() -> None:
    """Landmarks with few labels add the objects that have them, and complete labels add none."""
    labelled = np.ones((112, 3), dtype=bool)
    np.testing.assert_array_equal(chosen_shapes(labelled), np.arange(0, 90, 3))

    labelled[:, 2] = np.isin(np.arange(112), [4, 7, 100])
    assert {4, 7, 100} <= {*chosen_shapes(labelled)}
    assert len(chosen_shapes(labelled)) == 33
    labelled[:, 2] = np.arange(112) % 3 == 1
    assert labelled[chosen_shapes(labelled), 2].sum() == MIN_LABELS
