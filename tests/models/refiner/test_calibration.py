"""Calibration of stages on validation objects."""

import numpy as np

from featurelib.geometry import LandmarkSet, mirror_landmarks, mirror_permutation
from featurelib.models.export import export_network
from featurelib.models.refiner.calibration import (
    NUM_SHOTS,
    candidate_stage,
    chosen_finish,
    chosen_stage,
    prior_of,
    residuals_mm,
    squared_errors_mm2,
)
from featurelib.models.refiner.network import build_network
from featurelib.models.refiner.refinement import Refined
from featurelib.models.refiner.sides import refined_sides
from featurelib.models.refiner.stages import CropSize


def test_residuals_of_mirrored_objects_differ_only_in_their_order(mixed) -> None:
    """Each known landmark has one; those of unpaired landmarks are left out, which a mirror image does not have."""
    random = np.random.default_rng(0)
    points, truths = random.normal(size=(2, 5, 6, 3))
    truths[2, 1] = np.nan
    truths[:, 4:] = np.nan
    permutation = mirror_permutation(mixed.landmarks)

    straight = residuals_mm(points, truths, mixed.sides)
    mirrored = residuals_mm(mirror_landmarks(points, permutation), mirror_landmarks(truths, permutation), mixed.sides)

    assert len(straight) == 5 * 4 - 1
    assert np.allclose(np.sort(mirrored, axis=0), np.sort(straight, axis=0))
    assert np.allclose(straight[:2], (points - truths)[0, [0, 2]])


def _candidates(anatomy, width_mm=40.0):
    network = export_network(build_network(32, channels=anatomy.sides.num_channels, width=4))
    return candidate_stage(CropSize(width_mm, 32), network, anatomy.directions, anatomy.mean_points_mm)


def test_the_kept_views_have_their_own_errors(bumpy, pair) -> None:
    mesh, landmarks_mm = bumpy
    stage = _candidates(pair)
    squared = squared_errors_mm2(stage, pair.sides, mesh, landmarks_mm, landmarks_mm + 1.0)
    kept = chosen_stage(stage, pair.sides, pair.mean_points_mm, squared[None])

    assert squared.shape == (len(stage.shots), 1)
    assert len(set(kept.shots)) == NUM_SHOTS
    for shot, variances in zip(kept.shots, kept.variances_mm2, strict=True):
        assert np.allclose(variances, squared[stage.shots.index(shot)] / 2)


def test_a_set_shares_shots_and_reads_what_the_views_show(knobbly, mixed) -> None:
    """Channels that a view hides are not read; missing labels give no error, and do not change others."""
    mesh, landmarks_mm = knobbly
    stage = _candidates(mixed, 250.0)
    truths = landmarks_mm.copy()
    squared = squared_errors_mm2(stage, mixed.sides, mesh, truths, landmarks_mm)
    truths[2:4] = np.nan
    partial = squared_errors_mm2(stage, mixed.sides, mesh, truths, landmarks_mm)

    assert len({shot.aim for shot in stage.shots}) < mixed.sides.num_channels
    hidden = np.array([~mixed.directions.shows[:, mixed.directions.views.index(shot.view)] for shot in stage.shots])
    assert np.isnan(squared[hidden]).all()
    assert np.isnan(partial[:, 1]).all()
    np.testing.assert_allclose(np.delete(partial, 1, 1), np.delete(squared, 1, 1))
    kept = chosen_stage(stage, mixed.sides, mixed.mean_points_mm, np.array([squared, partial]))
    assert np.isfinite(kept.variances_mm2).any(axis=0).all()
    assert not np.isnan(kept.variances_mm2).any()


def test_the_finish_is_the_one_with_the_least_error() -> None:
    """One or two passes of the last stage, snapped or not: the choice has the least mean error over known labels."""
    truths, nothing = np.zeros((3, 2, 3)), np.zeros(2)
    truths[1, 0] = np.nan

    def results(snapped_mm: float, unsnapped_mm: float) -> list[Refined]:
        return [Refined(pair + snapped_mm, *[nothing] * 6, pair + unsnapped_mm, nothing, nothing) for pair in truths]

    once, twice = results(2.0, 3.0), results(4.0, 1.0)
    assert chosen_finish(once, twice, truths) == (twice, False)
    assert chosen_finish(once, results(4.0, 5.0), truths) == (once, True)
    assert chosen_finish(once, [], truths) == (once, True)


def test_the_prior_of_a_channel_is_twice_its_standard_deviation() -> None:
    """It is at least two cells wide; a channel without errors has the largest one; one channel alone has none."""
    landmarks = LandmarkSet((("a", "b"),), ("c", "d", "e"))
    sides = refined_sides(landmarks)
    errors = np.random.default_rng(0).normal(size=(4000, 5, 3)) * np.array([2.0, 2.0, 5.0, 0.001, np.nan])[:, None]
    truths = np.ones_like(errors)

    prior = prior_of(truths + errors, truths, sides, CropSize(48.0, 96))
    np.testing.assert_allclose(prior, [4.0, 10.0, 2.0, 10.0], rtol=0.03)
    pair = refined_sides(LandmarkSet.single_pair("a"))
    assert prior_of(truths[:, :2], truths[:, :2], pair, CropSize(48.0, 96)) is None
