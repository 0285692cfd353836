"""Training of two stages on balls with bumps; the errors of the first stage are the initial errors of the second."""

from dataclasses import replace

import numpy as np
import pytest

from featurelib.models.refiner.cascade import (
    CascadeConfig,
    Samples,
    held_out_results,
    refine_all,
    train_stages,
)
from featurelib.models.refiner.samples import crop_samples
from featurelib.models.refiner.stages import CropSize, initial_errors_within
from featurelib.models.refiner.training import StageRecipe
from featurelib.models.refiner.validation_objects import ValidationObjects

CROP_SIZE = CropSize(60.0, 32)


@pytest.fixture(scope="module")
def trained(ball, pair, labelled, in_batches):
    """A refiner trained on six balls, its three validation objects, and the calls of its callbacks."""
    unseen_balls = [ball(bump_mm, 40, 60) for bump_mm in (10.5, 12.5, 14.5)]
    truths_mm = np.array([landmarks_mm for _, landmarks_mm in unseen_balls])
    estimates_mm = truths_mm + np.random.default_rng(1).normal(0, 3, truths_mm.shape)
    validation = ValidationObjects(lambda i: unseen_balls[i][0], pair, truths_mm, estimates_mm, threads=2)
    calls = {"opened": [], "progress": [], "stages": []}

    def open_samples(number, crop_size, initial_errors):
        calls["opened"].append((number, crop_size, initial_errors))
        random = np.random.default_rng(number)
        settings = crop_size, initial_errors, pair.directions, random, 40
        sides = [side for bump_mm in np.linspace(8, 18, 6) for side in labelled(pair, *ball(bump_mm, 40, 60))]
        batches = in_batches([crop_samples(side, *settings) for side in sides], random, 24)
        return Samples(lambda: batches, lambda: batches[:2])

    refiner = train_stages(
        CascadeConfig(
            CROP_SIZE,
            initial_errors_within(validation.residuals_mm, CROP_SIZE),
            StageRecipe(60, 5e-3, 10, report_steps=30),
        ),
        validation,
        open_samples,
        lambda number, crop_size, row: calls["progress"].append((number, row.step)),
        lambda number, stage, error_mm: calls["stages"].append((number, stage, error_mm)),
    )
    return refiner, validation, calls


def test_the_second_stage_starts_from_the_errors_of_the_first(trained) -> None:
    """Its initial errors are those of the first stage on the validation objects, and its crops are no wider."""
    _, validation, calls = trained
    (_, first_crop_size, first_errors), (_, second_crop_size, second_errors) = calls["opened"]

    assert first_crop_size == CROP_SIZE
    assert np.array_equal(first_errors.residuals_mm, validation.residuals_mm)
    assert second_crop_size.width_mm <= first_crop_size.width_mm
    left_mm = np.linalg.norm(second_errors.residuals_mm, axis=1).mean()
    assert np.isclose(left_mm, calls["stages"][0][2])
    assert calls["progress"] == [(0, 30), (0, 60), (1, 30), (1, 60)]


def test_the_error_on_validation_objects_is_halved(trained) -> None:
    """The refiner's error is below half of the initial error, and its stages are those that were reported."""
    refiner, validation, calls = trained
    estimates_mm = np.array([result.landmarks_mm for result in refine_all(refiner, validation)])

    left_mm = np.linalg.norm(estimates_mm - validation.truths_mm, axis=-1).mean()
    assert left_mm < np.linalg.norm(validation.residuals_mm, axis=1).mean() / 2
    assert [stage for _, stage, _ in calls["stages"]] == list(dict.fromkeys(refiner.stages))


def test_held_out_objects_do_not_affect_their_own_results(trained) -> None:
    """A wrong label of an object does not change its own result, since other objects choose the views."""
    refiner, validation, _ = trained
    stages = tuple(dict.fromkeys(refiner.stages))
    mislabelled = replace(validation, truths_mm=validation.truths_mm + np.array([[[9.0]], [[0.0]], [[0.0]]]))

    straight, odd = held_out_results(stages, validation), held_out_results(stages, mislabelled)

    # the first and third object are one fold; the second, in the other fold, depends on them
    for i in (0, 2):
        np.testing.assert_allclose(odd[i].landmarks_mm, straight[i].landmarks_mm, atol=1e-6)


def test_validation_objects_are_refined_by_networks_that_have_not_seen_them(trained) -> None:
    """With networks per object, the stages' own are not used: noise in their place changes no result."""
    refiner, validation, _ = trained
    networks = tuple(stage.network for stage in refiner.distinct_stages)
    unseen = replace(validation, networks=(networks,) * len(validation.truths_mm))
    order = [refiner.distinct_stages.index(stage) for stage in refiner.stages]
    first, *_ = swapped = [replace(stage, network=networks[1 - i]) for i, stage in enumerate(refiner.distinct_stages)]
    other = replace(refiner, stages=tuple(swapped[i] for i in order))

    expected, found = refine_all(refiner, validation), refine_all(other, unseen)

    for one, same in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.landmarks_mm, same.landmarks_mm)
    assert unseen.unseen([first], 0)[0].network is networks[0]
    after = unseen.after(expected)
    assert after.unseen([first], 0)[0].network is after.after(expected).unseen([first], 0)[0].network is networks[1]
    assert validation.unseen(refiner.stages, 0) == refiner.stages
