"""Calibration of stages on validation objects."""

import numpy as np

from featurelib.geometry import View, mirror_pair
from featurelib.models.export import export_network
from featurelib.models.refiner.calibration import (
    candidate_stage,
    choose_views,
    chosen_finish,
    chosen_stage,
    left_residuals_mm,
    squared_errors_mm2,
)
from featurelib.models.refiner.network import build_network
from featurelib.models.refiner.refinement import Refined
from featurelib.models.refiner.stages import CropSize


def test_views_are_chosen_for_their_errors_and_their_angles() -> None:
    views = [View(0.0), View(5.0), View(90.0), View(95.0)]

    assert choose_views(views, [1.0, 1.1, 1.2, 9.0], 2) == [0, 2]
    assert sorted(choose_views(views, [1.0, 1.0, 1.0, 1.0], 9)) == [0, 1, 2, 3]


def test_residuals_of_mirrored_pairs_differ_only_in_their_order() -> None:
    random = np.random.default_rng(0)
    pairs, truths = random.normal(size=(2, 5, 2, 3))

    straight, mirrored = left_residuals_mm(pairs, truths), left_residuals_mm(mirror_pair(pairs), mirror_pair(truths))

    assert np.allclose(np.roll(mirrored, 5, axis=0), straight)
    assert np.allclose(straight[:5], pairs[:, 0] - truths[:, 0])


def test_the_kept_views_have_their_own_errors(bumpy) -> None:
    mesh, landmarks_mm = bumpy
    stage = candidate_stage(CropSize(40.0, 32), export_network(build_network(32, width=4)))

    squared = squared_errors_mm2(stage, mesh, landmarks_mm, landmarks_mm + 1.0)
    kept = chosen_stage(stage, squared.mean(axis=0), 4)

    assert squared.shape == (2, len(stage.views))
    assert len(set(kept.views)) == 4
    for view, variance in zip(kept.views, kept.variances_mm2, strict=True):
        assert variance == squared.mean(axis=0)[stage.views.index(view)] / 2


def test_the_finish_is_the_one_with_the_least_error() -> None:
    """One or two passes of the last stage, snapped or not: the choice has the least mean error."""
    truths, nothing = np.zeros((3, 2, 3)), np.zeros(2)

    def results(snapped_mm: float, unsnapped_mm: float) -> list[Refined]:
        return [Refined(pair + snapped_mm, *[nothing] * 6, pair + unsnapped_mm) for pair in truths]

    once, twice = results(2.0, 3.0), results(4.0, 1.0)
    assert chosen_finish(once, twice, truths) == (twice, False)
    assert chosen_finish(once, results(4.0, 5.0), truths) == (once, True)
