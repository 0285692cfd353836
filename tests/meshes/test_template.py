"""The template baseline, on ellipsoids with bumps whose landmarks are known exactly."""

from functools import cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from featurelib.errors import DataError
from featurelib.meshes.surface import closest_points, sample_surface
from featurelib.meshes.template import Template, build_template, locate, register

SIDE_BUMP = np.array([0.95, 0.1, 0.2]) / np.linalg.norm([0.95, 0.1, 0.2])
NOSE = np.array([0.0, -0.1, 1.0]) / np.linalg.norm([0.0, -0.1, 1.0])


@cache
def _directions(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors (n, 3) on a grid of latitudes and longitudes and the faces (m, 3) between them."""
    polar, azimuth = np.meshgrid(np.linspace(0, np.pi, rows), np.arange(columns) / columns * 2 * np.pi, indexing="ij")
    directions = np.stack([np.sin(polar) * np.cos(azimuth), np.cos(polar), np.sin(polar) * np.sin(azimuth)], -1)
    here = (np.arange(rows - 1)[:, None] * columns + np.arange(columns)).ravel()
    right = (np.arange(rows - 1)[:, None] * columns + (np.arange(columns) + 1) % columns).ravel()
    faces = np.concatenate([np.c_[here, right, here + columns], np.c_[right, right + columns, here + columns]])
    return directions.reshape(-1, 3), faces


def _surface(directions: np.ndarray, radii_mm: np.ndarray, bump_mm: float) -> np.ndarray:
    """Return where the directions (n, 3) meet an ellipsoid with a bump on each side and a nose in front."""
    height = np.ones(len(directions))
    for bump, width, size in ((SIDE_BUMP, 0.25, 1.0), (SIDE_BUMP * (-1, 1, 1), 0.25, 1.0), (NOSE, 0.3, 1.5)):
        height += bump_mm / 80 * size * np.exp(-((directions - bump) ** 2).sum(-1) / 2 / width**2)
    return directions * radii_mm * height[:, None]


def _head(
    radii_mm=(75.0, 110.0, 95.0), bump_mm: float = 18.0, grid=(40, 60)
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vertices, faces and the landmark pair (2, 3): the tips of the bumps at its sides."""
    directions, faces = _directions(*grid)
    pair_mm = _surface(np.array([SIDE_BUMP, SIDE_BUMP * (-1, 1, 1)]), np.array(radii_mm), bump_mm)
    return _surface(directions, np.array(radii_mm), bump_mm), faces, pair_mm


def _family(count: int, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return heads of different proportions, meshes and poses (up to 10 degrees)."""
    random = np.random.default_rng(seed)
    heads = []
    for _ in range(count):
        vertices, faces, pair_mm = _head(
            np.array([75, 110, 95]) * random.uniform(0.93, 1.07, 3),
            random.uniform(14, 22),
            (random.integers(30, 50), 60),
        )
        turn = Rotation.from_rotvec(np.radians(random.uniform(-6, 6, 3))).as_matrix() * random.uniform(0.9, 1.1)
        shift = random.uniform(-30, 30, 3)
        heads.append((vertices @ turn.T + shift, faces, pair_mm @ turn.T + shift))
    return heads


@pytest.fixture(scope="module")
def single() -> Template:
    """The template of one head: that head itself."""
    return build_template([_head()])


@pytest.fixture(scope="module")
def mean() -> Template:
    """The template of six heads."""
    return build_template(_family(6), num_points=800)


@pytest.mark.parametrize("angle_deg", [0, 10, 25])
def test_registering_recovers_a_known_similarity(angle_deg: float) -> None:
    """Points of a shape are laid back onto its turned, scaled and shifted copy."""
    vertices, faces, _ = _head()
    points = sample_surface(vertices, faces, 1500, seed=5)
    rotation = Rotation.from_rotvec(np.radians(angle_deg) * np.array([0.6, -0.48, 0.64])).as_matrix()
    scale, shift = 1.3, np.array([40.0, -25.0, 300.0])

    found = register(points, scale * vertices @ rotation.T + shift, faces)

    assert found.scale == pytest.approx(scale, rel=1e-3)
    np.testing.assert_allclose(found.rotation, rotation, atol=2e-3)
    np.testing.assert_allclose(found.to_object(points), scale * points @ rotation.T + shift, atol=0.3)
    assert found.turn_deg == pytest.approx(angle_deg, abs=0.2)
    assert found.residual_mm < 0.1


def test_a_registration_is_a_similarity_that_inverts(mean: Template) -> None:
    """The rotation is a proper one, the scale positive, and to the object and back is where it began."""
    vertices, faces, _ = _family(1, seed=7)[0]

    found = register(mean.points_mm, vertices, faces)

    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(found.rotation) == pytest.approx(1)
    assert found.scale > 0
    np.testing.assert_allclose(found.to_template(found.to_object(mean.points_mm)), mean.points_mm, atol=1e-9)


def test_a_registration_ignores_a_missing_part() -> None:
    """A shape cut off below is matched by what is left of it."""
    vertices, faces, _ = _head(grid=(80, 60))
    points = sample_surface(vertices, faces, 1500, seed=5)
    cut = faces[(vertices[faces][:, :, 1] > np.quantile(vertices[:, 1], 0.1)).all(axis=1)]
    used, renumbered = np.unique(cut, return_inverse=True)

    found = register(points, vertices[used], renumbered.reshape(-1, 3))

    assert found.scale == pytest.approx(1, rel=0.01)
    np.testing.assert_allclose(found.to_object(points), points, atol=1.5)


def test_the_template_of_one_shape_is_that_shape(single: Template) -> None:
    """Its points lie on the surface and its pair is the shape's, about the centre of the bounding box."""
    vertices, faces, pair_mm = _head()
    centre_mm = pair_mm.mean(axis=0) - single.pair_mm.mean(axis=0)

    np.testing.assert_allclose(single.pair_mm + centre_mm, pair_mm, atol=0.1)
    assert closest_points(single.points_mm + centre_mm, vertices, faces)[1].mean() < 0.05
    np.testing.assert_allclose(single.points_mm.min(axis=0), -single.points_mm.max(axis=0), atol=1e-9)


def test_a_copy_of_the_shape_gets_its_own_landmarks(single: Template) -> None:
    """On a turned, scaled and shifted copy, the pair found is the copy's."""
    vertices, faces, pair_mm = _head()
    turn = Rotation.from_euler("yx", [12, -7], degrees=True).as_matrix() * 0.8
    shift = np.array([5.0, 60.0, -10.0])

    found = locate(single, vertices @ turn.T + shift, faces)

    np.testing.assert_allclose(found.pair_mm, pair_mm @ turn.T + shift, atol=0.4)
    assert found.whole.residual_mm < 0.1


def test_locating_moves_with_the_object(mean: Template) -> None:
    """An object that is shifted and scaled has its landmarks found where they went."""
    vertices, faces, _ = _family(1, seed=3)[0]

    found, moved = locate(mean, vertices, faces), locate(mean, vertices * 2 + 50, faces)

    np.testing.assert_allclose(moved.pair_mm, found.pair_mm * 2 + 50, atol=1e-6)
    np.testing.assert_allclose(moved.snap_mm, found.snap_mm * 2, atol=1e-6)


def test_located_landmarks_lie_on_the_surface(mean: Template) -> None:
    """The pair is the closest surface point of the unsnapped pair, and `snap_mm` says how far that was."""
    vertices, faces, _ = _family(1, seed=4)[0]

    found = locate(mean, vertices, faces)

    assert closest_points(found.pair_mm, vertices, faces)[1].max() < 1e-9
    np.testing.assert_array_equal(found.pair_mm, closest_points(found.unsnapped_mm, vertices, faces)[0])
    np.testing.assert_allclose(found.snap_mm, np.linalg.norm(found.pair_mm - found.unsnapped_mm, axis=1), atol=1e-12)


def test_the_mean_of_a_family_locates_its_unseen_members(mean: Template) -> None:
    """On heads that were not in the mean it is several times better than the mean landmark."""
    seen, unseen = _family(6), _family(6, seed=1)
    mean_pair_mm = np.mean([pair_mm for _, _, pair_mm in seen], axis=0)

    errors = [np.linalg.norm(locate(mean, v, f).pair_mm - pair_mm, axis=1) for v, f, pair_mm in unseen]

    baseline = [np.linalg.norm(mean_pair_mm - pair_mm, axis=1) for _, _, pair_mm in unseen]
    assert np.mean(errors) < 4
    assert np.mean(errors) < np.mean(baseline) / 4


def test_building_and_locating_repeat_exactly(mean: Template) -> None:
    """The same shapes and seed give the same template, and it gives the same answer, to the last bit."""
    again = build_template(_family(6), num_points=800)
    vertices, faces, _ = _family(1, seed=2)[0]

    np.testing.assert_array_equal(again.points_mm, mean.points_mm)
    np.testing.assert_array_equal(again.pair_mm, mean.pair_mm)
    np.testing.assert_array_equal(locate(again, vertices, faces).pair_mm, locate(mean, vertices, faces).pair_mm)


def test_a_template_survives_its_bytes(mean: Template) -> None:
    """Written and read back it is equal, and the same template always gives the same bytes."""
    content = mean.to_bytes()

    read = Template.from_bytes(content)

    np.testing.assert_array_equal(read.points_mm, mean.points_mm)
    np.testing.assert_array_equal(read.pair_mm, mean.pair_mm)
    assert read.to_bytes() == content


def test_bytes_that_are_no_template_are_refused_by_name(mean: Template) -> None:
    """Other files, truncated files and other shapes end in one line that names the file."""
    wrong_shape = Template(mean.points_mm, mean.pair_mm[:1]).to_bytes()

    for content in (b"", b"no npz", mean.to_bytes()[:-40], wrong_shape):
        with pytest.raises(DataError, match=r"^lifter/template\.npz: .*expected"):
            Template.from_bytes(content, name="lifter/template.npz")


def test_no_shapes_make_no_template() -> None:
    """An empty training split is an error that says so."""
    with pytest.raises(DataError, match="no training shapes"):
        build_template([])
