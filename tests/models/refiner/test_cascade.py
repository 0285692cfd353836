"""The course of a training, on bumps: two stages, each begun where the one before ended."""

from dataclasses import replace

import numpy as np
import pytest

from featurelib.models.refiner.cascade import (
    CascadeConfig,
    Samples,
    ValidationObjects,
    held_out_results,
    refine_all,
    train_stages,
)
from featurelib.models.refiner.samples import both_sides, crop_samples
from featurelib.models.refiner.stages import Frame, initial_errors_within
from featurelib.models.refiner.training import StageRecipe

FRAME = Frame(60.0, 32)


@pytest.fixture(scope="module")
def told(ball):
    """A training of both stages on six bumps, validated on three others; what it was told and what it told."""
    unseen_balls = [ball(bump_mm, 40, 60) for bump_mm in (10.5, 12.5, 14.5)]
    truths_mm = np.array([pair_mm for _, pair_mm in unseen_balls])
    estimates_mm = truths_mm + np.random.default_rng(1).normal(0, 3, truths_mm.shape)
    validation = ValidationObjects(lambda i: unseen_balls[i][0], truths_mm, estimates_mm, threads=2)
    heard = {"opened": [], "progress": [], "stages": []}

    def open_samples(number, frame, initial_errors):
        heard["opened"].append((number, frame, initial_errors))
        sides = [side for bump_mm in np.linspace(8, 18, 6) for side in both_sides(*ball(bump_mm, 40, 60))]
        random = np.random.default_rng(number)
        parts = [crop_samples(mesh, point_mm, frame, initial_errors, random, 40) for mesh, point_mm in sides]
        images, xy = (np.concatenate(part) for part in zip(*parts, strict=True))
        batches = [(images[i], xy[i]) for i in random.permutation(len(xy)).reshape(-1, 24)]
        return Samples(lambda: batches, lambda: batches[:2])

    refiner = train_stages(
        CascadeConfig(
            FRAME, initial_errors_within(validation.residuals_mm, FRAME), StageRecipe(60, 5e-3, 10, report_steps=30)
        ),
        validation,
        open_samples,
        lambda number, frame, row: heard["progress"].append((number, row.step)),
        lambda number, stage, error_mm: heard["stages"].append((number, stage, error_mm)),
    )
    return refiner, validation, heard


def test_the_second_look_begins_where_the_first_ended(told) -> None:
    """Its starts are what the first left on the unseen objects, and its frame is no wider."""
    _, validation, heard = told
    (_, first_frame, first_errors), (_, second_frame, second_errors) = heard["opened"]

    assert first_frame == FRAME
    assert np.array_equal(first_errors.residuals_mm, validation.residuals_mm)
    assert second_frame.width_mm <= first_frame.width_mm
    left_mm = np.linalg.norm(second_errors.residuals_mm, axis=1).mean()
    assert np.isclose(left_mm, heard["stages"][0][2])
    assert heard["progress"] == [(0, 30), (0, 60), (1, 30), (1, 60)]


def test_it_gets_nearer_to_unseen_objects(told) -> None:
    """The refiner leaves less than half of what it starts from, with the stages that were told of."""
    refiner, validation, heard = told
    pairs_mm = np.array([answer.pair_mm for answer in refine_all(refiner, validation)])

    left_mm = np.linalg.norm(pairs_mm - validation.truths_mm, axis=-1).mean()
    assert left_mm < np.linalg.norm(validation.residuals_mm, axis=1).mean() / 2
    assert [stage for _, stage, _ in heard["stages"]] == list(dict.fromkeys(refiner.stages))


def test_held_out_objects_have_no_say(told) -> None:
    """Whatever is wrong with an object's label, its own answer stays: others choose the views."""
    refiner, validation, _ = told
    stages = tuple(dict.fromkeys(refiner.stages))
    mislabelled = replace(validation, truths_mm=validation.truths_mm + np.array([[[9.0]], [[0.0]], [[0.0]]]))

    straight, odd = held_out_results(stages, validation), held_out_results(stages, mislabelled)

    # the first object is in a fold with the third, so the second is judged by stages that they calibrated
    for i in (0, 2):
        np.testing.assert_allclose(odd[i].pair_mm, straight[i].pair_mm, atol=1e-6)
