"""Refinement with a small network trained on balls with bumps, and the refiner on disk."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from featurelib.errors import DataError, GeometryError
from featurelib.geometry import View, mirror_landmarks, mirror_permutation
from featurelib.models.export import export_network
from featurelib.models.keras_models import load_model
from featurelib.models.refiner.calibration import candidate_stage, chosen_stage, squared_errors_mm2
from featurelib.models.refiner.model import load_refiner, save_refiner
from featurelib.models.refiner.network import build_network
from featurelib.models.refiner.presence import Presence
from featurelib.models.refiner.readings import EARLY_SHOTS, Stage, ray_errors_mm, read_crops
from featurelib.models.refiner.refiner import Refiner, refine
from featurelib.models.refiner.samples import crop_samples
from featurelib.models.refiner.shots import READ, Shot
from featurelib.models.refiner.stages import CropSize, InitialErrors
from featurelib.models.refiner.training import StageRecipe, fit_stage, open_training
from featurelib.models.uncertainty.model import fit_uncertainty

VIEWS = (View(40.0), View(70.0, 20.0), View(90.0, -20.0), View(110.0))
CROP_SIZE = CropSize(50.0, 32)


def _stage(model: keras.Model, crop_size: CropSize = CROP_SIZE) -> Stage:
    shots = tuple(Shot((0,), view) for view in VIEWS)
    return Stage(crop_size, shots, np.linspace(0.8, 1.2, len(VIEWS))[:, None], export_network(model))


def _trained_model(anatomy, samples, in_batches, steps: int, **options) -> keras.Model:
    batches = in_batches(samples, np.random.default_rng(0), 24)
    keras.utils.set_random_seed(0)
    model = build_network(32, channels=anatomy.sides.num_channels, width=8, **options)
    recipe = StageRecipe(steps=steps, learning_rate=5e-3, warm_up=10, report_steps=steps)
    fit_stage(open_training(model, recipe), lambda: batches, lambda: batches[:2], lambda row: None)
    return model


@pytest.fixture(scope="module")
def trained(ball, pair, labelled, in_batches) -> Refiner:
    """A refiner with small networks, trained for a few seconds on bumps of other sizes than the tests'."""
    random, initial_errors = np.random.default_rng(0), InitialErrors(np.empty((0, 3)), 3.0)
    settings = CROP_SIZE, initial_errors, pair.directions, random, 80
    sides = [side for bump_mm in np.linspace(8, 18, 6) for side in labelled(pair, *ball(bump_mm, 40, 60))]
    model = _trained_model(pair, [crop_samples(side, *settings) for side in sides], in_batches, 120, networks=2)
    stage = _stage(model)
    against = [{"move": random.gamma(2, size=2)} for _ in range(30)]
    uncertainty = fit_uncertainty(random.normal(size=(30, 2, 3)), np.broadcast_to(np.eye(3), (30, 2, 3, 3)), against)
    return Refiner(pair.landmarks, (stage, stage), pair.mean_shape, uncertainty=uncertainty)


@pytest.fixture(scope="module")
def trained_set(ball, mixed, labelled, in_batches) -> Refiner:
    """A refiner of a set, of which one channel is absent on some training objects."""
    crop_size, initial_errors = CropSize(80.0, 32), InitialErrors(np.empty((0, 3)), 3.0)
    settings = crop_size, initial_errors, mixed.directions, np.random.default_rng(0), 100
    samples = []
    for bump_mm in np.linspace(8, 18, 6):
        samples += [crop_samples(side, *settings) for side in labelled(mixed, *ball(bump_mm, 40, 60, 6))]
        smooth, tops_mm = ball(bump_mm, 40, 60, 5)
        places = np.concatenate([tops_mm, ball(bump_mm, 40, 60, 6)[1][5:]])
        (side, points, absent), _ = labelled(mixed, smooth, places)
        samples.append(crop_samples((side, points, absent | (np.arange(4) == 3)), *settings[:-1], 200))
    model = _trained_model(mixed, samples, in_batches, 500, presence=True)
    candidate = candidate_stage(crop_size, export_network(model), mixed.directions, mixed.mean_points_mm)
    squared = []
    for bump_mm in (9.0, 13.0, 16.0):
        mesh, truths_mm = ball(bump_mm, 40, 60, 6)
        squared.append(squared_errors_mm2(candidate, mixed.sides, mesh, truths_mm, truths_mm + 1.0))
    stage = chosen_stage(candidate, mixed.sides, mixed.mean_points_mm, np.array(squared))
    return Refiner(mixed.landmarks, (stage, stage), mixed.mean_shape, presence=Presence())


def test_a_trained_refiner_finds_new_bumps(ball, trained) -> None:
    mesh, landmarks_mm = ball(12.5)
    estimate_mm = landmarks_mm + np.random.default_rng(1).normal(0, 3, (2, 3))

    refined = refine(trained, mesh, estimate_mm)
    errors = np.linalg.norm(refined.landmarks_mm - landmarks_mm, axis=1)

    assert (errors < 1.5).all()
    assert errors.mean() < np.linalg.norm(estimate_mm - landmarks_mm, axis=1).mean() / 2
    assert (refined.snap_mm < 3).all()
    assert refined.moves_mm.shape == (2, 2)
    assert (refined.moves_mm[:, 1] < refined.moves_mm[:, 0]).all()
    assert (np.linalg.eigvalsh(refined.covariance_mm2) > 0).all()


def test_the_mirrored_object_gives_the_mirrored_pair(ball, trained) -> None:
    mesh, landmarks_mm = ball(14.0)
    estimate_mm, swapped = landmarks_mm + 2.0, mirror_permutation(trained.landmarks)

    straight = refine(trained, mesh, estimate_mm)
    mirrored = refine(trained, mesh.mirrored(), mirror_landmarks(estimate_mm, swapped))

    assert np.allclose(mirrored.landmarks_mm, mirror_landmarks(straight.landmarks_mm, swapped), atol=1e-3)
    flip = np.diag([-1, 1, 1])
    assert np.allclose(mirrored.covariance_mm2[::-1], flip @ straight.covariance_mm2 @ flip, atol=1e-3)


def test_a_set_is_refined_together(ball, trained_set) -> None:
    """Pairs, the midline and the unpaired landmark; one without an estimate stays unknown and changes no other."""
    mesh, landmarks_mm = ball(12.5, count=6)
    estimates_mm = landmarks_mm + np.random.default_rng(1).normal(0, 3, (6, 3))

    refined = refine(trained_set, mesh, estimates_mm)
    errors = np.linalg.norm(refined.unsnapped_mm - landmarks_mm, axis=1)
    estimates_mm[5] = np.nan
    partial = refine(trained_set, mesh, estimates_mm)

    assert errors.mean() < 1.5
    assert (np.linalg.eigvalsh(refined.covariance_mm2) > 0).all()
    assert all(np.isnan(part[5]).all() for part in (partial.landmarks_mm, partial.covariance_mm2, partial.present))
    assert np.isfinite(partial.landmarks_mm[:5]).all()
    with pytest.raises(GeometryError, match="no landmark has an estimate"):
        refine(trained_set, mesh, np.full((6, 3), np.nan))


def test_the_mirrored_set_is_the_permuted_mirror_image(ball, trained_set) -> None:
    """All but the unpaired landmark, which a mirrored object does not have."""
    mesh, landmarks_mm = ball(14.0, count=6)
    estimates_mm = landmarks_mm + 1.5
    estimates_mm[5] = np.nan
    permutation = mirror_permutation(trained_set.landmarks)

    straight = refine(trained_set, mesh, estimates_mm)
    mirrored = refine(trained_set, mesh.mirrored(), mirror_landmarks(estimates_mm, permutation))

    expected = mirror_landmarks(straight.unsnapped_mm, permutation)
    np.testing.assert_allclose(mirrored.unsnapped_mm, expected, atol=1e-3)


def test_an_absent_landmark_has_a_lower_presence(ball, trained_set) -> None:
    places = ball(12.5, count=6)[1]
    whole, without = (refine(trained_set, ball(12.5, count=count)[0], places) for count in (6, 5))

    assert without.present[5] < 0.5 < whole.present[5]
    assert (without.present[:5] > 0.5).all()
    assert (refine(replace(trained_set, presence=None), ball(12.5, count=5)[0], places).present == 1).all()


def test_a_landmark_is_read_from_every_crop_that_shows_it(ball, mixed, trained_set) -> None:
    mesh, landmarks_mm = ball(12.5, count=6)
    stage, sides = trained_set.stages[0], mixed.sides
    readings = read_crops(stage, sides, sides.meshes(mesh), landmarks_mm)

    width_mm, points = stage.crop_size.width_mm, sides.points_mm(landmarks_mm)[0]
    for number, shot in enumerate(stage.shots):
        offsets = np.abs((points - points[list(shot.aim)].mean(axis=0)) @ shot.view.object_from_view) / width_mm
        shown = (offsets <= (READ, READ, 0.5)).all(axis=1) | np.isin(np.arange(4), shot.aim)
        of_shot = readings.channel[
            (readings.shot == number) & (readings.landmark == sides.landmark[0, readings.channel])
        ]
        expected = np.flatnonzero(shown & np.isfinite(stage.variances_mm2[number]))
        assert set(expected) <= set(of_shot.tolist())
    assert (np.bincount(readings.landmark, minlength=6) >= 2).all()


def test_only_the_last_stage_uses_all_shots(ball, trained) -> None:
    """The earlier stages use the first EARLY_SHOTS, and give the result of those alone."""
    mesh, landmarks_mm = ball(12.0)
    stage, extra = trained.stages[0], tuple(Shot((0,), View(*angles)) for angles in ((50.0,), (60.0,), (80.0, 10.0)))
    many = replace(stage, shots=(*stage.shots, *extra), variances_mm2=np.arange(1.0, 8)[:, None])

    first_many, first_early, last_many = (
        refine(replace(trained, stages=stages), mesh, landmarks_mm + 1.0)
        for stages in ((many, stage), (many.early, stage), (stage, many))
    )

    assert many.early.shots == many.shots[:EARLY_SHOTS]
    assert many.early.variances_mm2[:, 0].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert np.array_equal(first_many.landmarks_mm, first_early.landmarks_mm)
    assert not np.array_equal(last_many.landmarks_mm, first_many.landmarks_mm)


def test_a_loaded_refiner_is_the_saved_one(trained, tmp_path) -> None:
    uri = str(tmp_path / "refiner")
    save_refiner(trained, uri)
    loaded = load_refiner(uri)

    assert loaded.stages[0] is loaded.stages[1]
    assert [path.name for path in (tmp_path / "refiner").glob("*.keras")] == ["stage-0.keras"]
    assert [shot.view for shot in loaded.stages[0].shots] == list(VIEWS)
    assert loaded.landmarks == trained.landmarks
    np.testing.assert_array_equal(loaded.mean_shape.points_mm, trained.mean_shape.points_mm)
    assert loaded.stages[1].crop_size == CROP_SIZE
    assert (loaded.snap, loaded.uncertainty) == (True, trained.uncertainty)
    for before, after in zip(trained.stages, loaded.stages, strict=True):
        images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
        assert np.array_equal(before.network(images)["maps"], after.network(images)["maps"])
        assert np.array_equal(before.variances_mm2, after.variances_mm2)


def test_a_loaded_refiner_of_a_set_is_the_saved_one(trained_set, tmp_path) -> None:
    save_refiner(trained_set, str(tmp_path))
    loaded = load_refiner(str(tmp_path))

    assert loaded.landmarks.hash == trained_set.landmarks.hash
    assert loaded.presence == trained_set.presence
    for before, after in zip(trained_set.stages, loaded.stages, strict=True):
        assert before.shots == after.shots
        assert np.array_equal(before.variances_mm2, after.variances_mm2)


def test_a_missing_or_broken_refiner_is_rejected(tmp_path) -> None:
    with pytest.raises(DataError, match="train-refiner"):
        load_refiner(str(tmp_path))
    (tmp_path / "refiner.json").write_text('{"stages": 3}')
    with pytest.raises(DataError, match=r"refiner\.json: not a refiner"):
        load_refiner(str(tmp_path))


def test_a_network_of_another_training_is_rejected(trained, tmp_path) -> None:
    """A training that was killed while it wrote leaves files of two trainings; they are not mixed."""
    save_refiner(trained, str(tmp_path))
    _stage(build_network(32, width=4)).network.write(str(tmp_path / "stage-0"))
    with pytest.raises(DataError, match=r"stage-0\.keras: not the network of refiner\.json"):
        load_refiner(str(tmp_path))


def test_rays_pass_through_the_found_positions(bumpy, pair) -> None:
    """Each ray of both sides lies in the object frame, and one through the truth has no error."""
    mesh, landmarks_mm = bumpy
    stage = _stage(build_network(32, networks=2, width=4))
    readings = read_crops(stage, pair.sides, pair.sides.meshes(mesh), landmarks_mm)

    assert readings.rays.origins_mm.shape == (2 * len(VIEWS), 2, 3)
    assert readings.landmark.tolist() == [0] * len(VIEWS) + [1] * len(VIEWS)
    expected = [view.object_from_view[:, 2] * flip for flip in ((1, 1, 1), (-1, 1, 1)) for view in VIEWS]
    np.testing.assert_allclose(readings.rays.directions[:, 0], -np.array(expected), atol=1e-6)
    along = readings.rays.origins_mm + 7.0 * readings.rays.directions
    assert np.allclose(ray_errors_mm(readings.rays, along), 0, atol=1e-6)
    assert (ray_errors_mm(readings.rays, landmarks_mm[readings.landmark][:, None]) < CROP_SIZE.width_mm).all()


def test_the_spread_of_the_networks_measures_their_disagreement(ball, trained) -> None:
    """Two equal networks give the result of one and agree; an untrained network disagrees."""
    mesh, landmarks_mm = ball(13.0)
    stage = trained.stages[0]
    images, model = keras.Input(stage.network.input_shape), load_model(stage.network.keras)
    first = model(images)["maps"][:, :1]
    untrained = build_network(32, width=8)
    untrained.name = "untrained"
    odd = untrained(images)["maps"]

    def found(*maps):
        model = keras.Model(images, {"maps": keras.ops.concatenate(maps, axis=1)})
        return refine(
            replace(trained, stages=(replace(stage, network=export_network(model)),)), mesh, landmarks_mm + 1.0
        )

    of_one, of_two, of_odd = found(first), found(first, first), found(first, odd)
    assert np.allclose(of_one.unsnapped_mm, of_two.unsnapped_mm, atol=1e-4)
    assert np.isnan(of_one.network_spread_mm).all()
    assert np.allclose(of_two.network_spread_mm, 0, atol=1e-4)
    assert (of_odd.network_spread_mm > 0.1).all()
    assert of_odd.map_spread_mm.shape == (2,)


def test_the_prior_keeps_readings_near_the_estimates(ball, mixed, trained_set) -> None:
    """Even those of an untrained network; a flat prior changes nothing."""
    mesh, landmarks_mm = ball(12.5, count=6)
    stage, sides = trained_set.stages[0], mixed.sides
    untrained = export_network(build_network(32, channels=4, width=8))

    def found(prior_mm: float | None) -> np.ndarray:
        prior = None if prior_mm is None else np.full(4, prior_mm)
        some = replace(stage, network=untrained, prior_mm=prior)
        readings = read_crops(some, sides, sides.meshes(mesh), landmarks_mm)
        return ray_errors_mm(readings.rays, landmarks_mm[readings.landmark][:, None])

    assert np.median(found(3.0)) < np.median(found(None)) / 2
    np.testing.assert_allclose(found(1e9), found(None), atol=1e-4)
