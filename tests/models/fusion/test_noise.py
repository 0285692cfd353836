"""Measurement of view noise on objects with a known landmark."""

import json

import numpy as np
import pytest

from featurelib.errors import DataError
from featurelib.geometry import DEFAULT_RIG, Rays
from featurelib.models.fusion import ViewNoise, measure_noise

DIRECTIONS = np.array([-view.object_from_view[:, 2] for view in DEFAULT_RIG.views])
SIGMA_MM = np.array([4, 3, 2, 1, 2, 1, 1, 1.5, 2.0])


def _objects(count: int, shared_mm: float, seed: int = 0) -> tuple[Rays, np.ndarray]:
    """Return the rays (n, 9, 3) of n objects with errors of SIGMA_MM, of which `shared_mm` is shared, and the truth."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=(count, 1, 3)) * 50
    common = random.normal(size=(count, 1, 3)) * shared_mm
    own = random.normal(size=(count, 9, 3)) * np.sqrt(SIGMA_MM**2 - shared_mm**2)[:, None]
    directions = np.broadcast_to(DIRECTIONS, (count, 9, 3))
    return Rays(truth + common + own - 300 * directions, directions), truth[:, 0]


@pytest.mark.parametrize("shared_mm", [0.0, 0.7])
def test_known_noise_is_measured(shared_mm) -> None:
    """Many objects give the sigma of each view and the shared part."""
    rays, truth = _objects(1500, shared_mm)

    found = measure_noise(rays, truth, np.ones((1500, 9)))

    np.testing.assert_allclose(found.sigma_mm, SIGMA_MM, rtol=0.06)
    assert found.shared_mm == pytest.approx(shared_mm, abs=0.15 if shared_mm == 0 else 0.06)


def test_a_view_without_objects_gets_the_mean_noise() -> None:
    """Its NaN rays are ignored."""
    rays, truth = _objects(50, 0.0)
    usable = np.broadcast_to(np.arange(9) != 3, (50, 9))
    rays = Rays(*(np.where(usable[..., None], part, np.nan) for part in rays))

    found = measure_noise(rays, truth, usable)

    assert found.sigma_mm[3] == pytest.approx(np.sqrt(np.mean(np.square(found.sigma_mm)[usable[0]])), rel=0.05)


def test_one_exact_object_does_not_make_a_view_perfect() -> None:
    """A single exact ray gives its view at most a slightly lower noise than the others."""
    rays, truth = _objects(1, 0.0)
    exact = Rays(truth[:, None] - 300 * rays.directions, rays.directions)
    rays.origins_mm[:, 3] = exact.origins_mm[:, 3]

    found = measure_noise(rays, truth, np.ones((1, 9)))

    assert found.sigma_mm[3] > 0.5 * max(found.sigma_mm)


def test_noise_round_trips_through_json() -> None:
    """Reading returns what was written."""
    noise = ViewNoise((1.0, 2.5), 0.25)

    assert ViewNoise.from_dict(json.loads(json.dumps(noise.to_dict()))) == noise


def test_objects_without_a_label_do_not_count() -> None:
    """A missing truth changes nothing."""
    rays, truth = _objects(40, 0.3)
    known, holed = np.arange(40) % 3 > 0, truth.copy()
    holed[::3] = np.nan

    found = measure_noise(rays, holed, np.ones((40, 9)))

    expected = measure_noise(Rays(*(part[known] for part in rays)), truth[known], np.ones((known.sum(), 9)))
    np.testing.assert_allclose(found.sigma_mm, expected.sigma_mm)
    assert found.shared_mm == pytest.approx(expected.shared_mm)


def test_no_objects_are_rejected() -> None:
    """The message asks for a usable view."""
    with pytest.raises(DataError, match="no usable view"):
        measure_noise(Rays(np.zeros((0, 9, 3)), np.zeros((0, 9, 3))), np.zeros((0, 3)), np.zeros((0, 9)))
