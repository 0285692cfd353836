"""Shapes: invariance to similarity transforms, known deformations, and missing landmarks."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from featurelib.evaluation.morphometrics import (
    aligned,
    centroid_sizes,
    component_correlations,
    morphometrics,
    pairwise_distances,
    procrustes_distances,
    size_errors_pct,
)

RANDOM = np.random.default_rng(0)
MEAN_MM = RANDOM.normal(0, 60, (7, 3))
SHAPES_MM = MEAN_MM + RANDOM.normal(0, 6, (12, 7, 3))
NAN = float("nan")


def moved(shapes: np.ndarray, seed: int = 1) -> np.ndarray:
    """Return each shape with its own rotation, scale and translation."""
    random = np.random.default_rng(seed)
    turns = Rotation.random(len(shapes), rng=seed).as_matrix()
    scales, offsets = random.uniform(0.2, 5, (len(shapes), 1, 1)), random.normal(0, 100, (len(shapes), 1, 3))
    return scales * shapes @ turns + offsets


def partial(shapes: np.ndarray, share: float = 0.15) -> np.ndarray:
    """Return the shapes without some landmarks, at most three of each."""
    missing = np.random.default_rng(2).random(shapes.shape[:2]) < share
    missing[:, :4] = False
    return np.where(missing[..., None], NAN, shapes)


@pytest.mark.parametrize("shapes", [SHAPES_MM, partial(SHAPES_MM)])
def test_distances_ignore_position_size_and_rotation(shapes) -> None:
    """A shape has no distance from itself after a similarity transform, and pairwise distances do not change."""
    np.testing.assert_allclose(procrustes_distances(moved(shapes), shapes), 0, atol=1e-7)
    np.testing.assert_allclose(pairwise_distances(moved(shapes)), pairwise_distances(shapes), atol=1e-9)
    np.testing.assert_allclose(pairwise_distances(shapes[::-1])[0], procrustes_distances(shapes[[-1]], shapes[[-2]])[0])


def test_a_mirror_image_is_another_shape() -> None:
    assert (procrustes_distances(SHAPES_MM * (-1, 1, 1), SHAPES_MM) > 0.1).all()


def test_a_distance_is_that_of_the_closest_rotation() -> None:
    """For triangles in a plane with unit size, it equals the least distance over all rotations."""
    one, other = (
        np.array(each, float) for each in ([[0, 0, 0], [4, 0, 0], [0, 3, 0]], [[0, 0, 0], [4, 0, 0], [2, 3, 0]])
    )
    unit = [(each - each.mean(axis=0)) / centroid_sizes(each) for each in (one, other)]
    turns = [Rotation.from_rotvec([0, 0, angle]).as_matrix() for angle in np.linspace(0, 2 * np.pi, 20_001)]

    least = min(np.linalg.norm(unit[0] @ turn - unit[1]) for turn in turns)

    assert procrustes_distances(one[None], other[None])[0] == pytest.approx(least, abs=1e-6)


def test_centroid_sizes_are_those_of_the_definition() -> None:
    """The corners of a cube of edge 2 are root 3 from its centre: the size is root 24; a missing corner is left out."""
    corners = np.array(np.meshgrid(*[(-1.0, 1.0)] * 3)).reshape(3, 8).T

    assert centroid_sizes(corners) == pytest.approx(np.sqrt(24))
    assert centroid_sizes(np.vstack([corners, [[NAN] * 3]])) == pytest.approx(np.sqrt(24))
    assert centroid_sizes(10 * corners + 7) == pytest.approx(10 * np.sqrt(24))


def test_errors_are_relative_to_the_marked_size() -> None:
    """A tenth of the size is 10 %, whatever the units; an unknown landmark has no error."""
    found = partial(SHAPES_MM) + [[[0.1, 0, 0]]] * centroid_sizes(partial(SHAPES_MM))[:, None, None]

    errors_pct = size_errors_pct(found, partial(SHAPES_MM))

    known = np.isfinite(partial(SHAPES_MM)[..., 0])
    np.testing.assert_allclose(errors_pct[known], 10)
    assert np.isnan(errors_pct[~known]).all()


@pytest.mark.parametrize("shapes", [SHAPES_MM, partial(SHAPES_MM)])
def test_aligned_shapes_have_one_mean(shapes) -> None:
    """They have unit size and are centred; the same shapes after transforms are aligned to the same distances."""
    fitted, mean = aligned(moved(shapes))

    assert np.isfinite(mean).all()
    assert centroid_sizes(mean) == pytest.approx(1)
    np.testing.assert_allclose(mean.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_array_equal(np.isnan(fitted), np.isnan(shapes))
    other, other_mean = aligned(shapes)
    distances = [np.nansum((each - of) ** 2, axis=(1, 2)) for each, of in ((fitted, mean), (other, other_mean))]
    np.testing.assert_allclose(*distances, rtol=1e-3)


def test_components_recover_a_known_deformation() -> None:
    """Shapes that differ by one deformation have one component; scores with noise correlate by its size."""
    random = np.random.default_rng(3)
    deformation = random.normal(0, 1, (7, 3))
    marked = MEAN_MM + random.normal(0, 5, (40, 1, 1)) * deformation

    [first, *others] = component_correlations(moved(marked), moved(marked, 5))

    assert first["share"] > 0.99
    assert first["correlation"] == pytest.approx(1, abs=1e-6)
    assert sum(each["share"] for each in others) < 0.01
    noisy = component_correlations(marked + random.normal(0, 3, marked.shape), marked)[0]["correlation"]
    assert 0.8 < noisy < 1
    assert abs(component_correlations(marked[::-1], marked)[0]["correlation"]) < 0.5


@pytest.mark.parametrize("shapes", [SHAPES_MM, partial(SHAPES_MM, 0.3)])
def test_perfect_landmarks_have_no_distance_and_keep_all_differences(shapes) -> None:
    block = morphometrics(shapes, shapes)

    assert block["n"] == 12
    assert block["error_pct_centroid_size"] == {"mean": 0, "median": 0, "p95": 0}
    assert block["procrustes_distance"]["p95"] == pytest.approx(0, abs=1e-7)
    assert block["pairwise_distance"] > 0.02
    assert block["distances_correlation"] == pytest.approx(1)
    assert [each["correlation"] for each in block["components"]] == pytest.approx([1] * 3)
    assert json.loads(json.dumps(block, allow_nan=False)) == block


def test_larger_errors_keep_less_of_the_differences() -> None:
    near, far = (morphometrics(SHAPES_MM + RANDOM.normal(0, sigma, SHAPES_MM.shape), SHAPES_MM) for sigma in (1, 10))

    assert near["distances_correlation"] > 0.9 > far["distances_correlation"]
    assert near["procrustes_distance"]["mean"] < 0.3 * far["procrustes_distance"]["mean"]
    assert near["components"][0]["correlation"] > far["components"][0]["correlation"]


def test_objects_with_too_few_landmarks_are_left_out() -> None:
    """An object needs three found and marked landmarks; a set of two has no block; two objects have no correlation."""
    found = SHAPES_MM.copy()
    found[0, 2:] = NAN

    assert morphometrics(found, SHAPES_MM)["n"] == 11
    assert morphometrics(SHAPES_MM[:, :2], SHAPES_MM[:, :2]) is None
    few = morphometrics(SHAPES_MM[:2], SHAPES_MM[:2])
    assert (few["n"], few["distances_correlation"], few["components"]) == (2, None, [])
    none = morphometrics(np.full_like(SHAPES_MM, NAN), SHAPES_MM)
    assert (none["n"], none["procrustes_distance"]["mean"]) == (0, None)
