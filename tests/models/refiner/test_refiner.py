"""Refinement with a small network trained on balls with bumps, and the refiner on disk."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from featurelib.errors import DataError
from featurelib.geometry import View, mirror_pair
from featurelib.models.export import export_network
from featurelib.models.keras_models import load_model
from featurelib.models.refiner.model import load_refiner, save_refiner
from featurelib.models.refiner.network import build_network
from featurelib.models.refiner.refiner import EARLY_VIEWS, Refiner, Stage, find_rays, ray_errors_mm, refine
from featurelib.models.refiner.samples import both_sides, crop_samples
from featurelib.models.refiner.stages import CropSize, InitialErrors
from featurelib.models.refiner.training import StageRecipe, fit_stage, open_training
from featurelib.models.soft_argmax import map_moments
from featurelib.models.uncertainty.model import fit_uncertainty

VIEWS = (View(40.0), View(70.0, 20.0), View(90.0, -20.0), View(110.0))
CROP_SIZE = CropSize(50.0, 32)


def _stage(model: keras.Model, crop_size: CropSize = CROP_SIZE) -> Stage:
    return Stage(crop_size, VIEWS, np.linspace(0.8, 1.2, len(VIEWS)), export_network(model))


@pytest.fixture(scope="module")
def trained(ball) -> Refiner:
    """A refiner with small networks, trained for a few seconds on bumps of other sizes than the tests'."""
    random, initial_errors = np.random.default_rng(0), InitialErrors(np.empty((0, 3)), 3.0)
    objects = [side for bump_mm in np.linspace(8, 18, 6) for side in both_sides(*ball(bump_mm, 40, 60))]
    parts = [crop_samples(mesh, point_mm, CROP_SIZE, initial_errors, random, 80) for mesh, point_mm in objects]
    images, xy = (np.concatenate(part) for part in zip(*parts, strict=True))
    batches = [(images[i], xy[i]) for i in random.permutation(len(images)).reshape(-1, 24)]
    keras.utils.set_random_seed(0)
    model = build_network(32, width=8)
    recipe = StageRecipe(steps=120, learning_rate=5e-3, warm_up=10, report_steps=120)
    fit_stage(open_training(model, recipe), lambda: batches, lambda: batches[:2], lambda row: None)
    stage = _stage(model)
    against = [{"move": random.gamma(2, size=2)} for _ in range(30)]
    uncertainty = fit_uncertainty(random.normal(size=(30, 2, 3)), np.broadcast_to(np.eye(3), (30, 2, 3, 3)), against)
    return Refiner((stage, stage), uncertainty=uncertainty)


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
    estimate_mm = landmarks_mm + 2.0

    straight = refine(trained, mesh, estimate_mm)
    mirrored = refine(trained, mesh.mirrored(), mirror_pair(estimate_mm))

    assert np.allclose(mirrored.landmarks_mm, mirror_pair(straight.landmarks_mm), atol=1e-3)
    flip = np.diag([-1, 1, 1])
    assert np.allclose(mirrored.covariance_mm2[::-1], flip @ straight.covariance_mm2 @ flip, atol=1e-3)


def test_only_the_last_stage_uses_all_views(ball, trained) -> None:
    """The earlier stages use the EARLY_VIEWS with the least variance, and give the result of those alone."""
    mesh, landmarks_mm = ball(12.0)
    stage, extra = trained.stages[0], (View(50.0), View(60.0), View(80.0, 10.0))
    many = replace(stage, views=(*extra, *VIEWS), variances_mm2=np.array([7.0, 6.0, 5.0, 1.0, 2.0, 3.0, 4.0]))

    best = many.from_best(EARLY_VIEWS)
    first_many, first_best, last_many = (
        refine(replace(trained, stages=stages), mesh, landmarks_mm + 1.0)
        for stages in ((many, stage), (best, stage), (stage, many))
    )

    assert best.views == (*VIEWS, extra[2])
    assert best.variances_mm2.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert np.array_equal(first_many.landmarks_mm, first_best.landmarks_mm)
    assert last_many.map_spread_mm.size == first_many.map_spread_mm.size // len(VIEWS) * len(many.views)


def test_a_loaded_refiner_is_the_saved_one(trained, tmp_path) -> None:
    uri = str(tmp_path / "refiner")
    save_refiner(trained, uri)
    loaded = load_refiner(uri)

    assert loaded.stages[0] is loaded.stages[1]
    assert [path.name for path in (tmp_path / "refiner").glob("*.keras")] == ["stage-0.keras"]
    assert loaded.stages[0].views == VIEWS
    assert loaded.stages[1].crop_size == CROP_SIZE
    assert (loaded.snap, loaded.uncertainty) == (True, trained.uncertainty)
    for before, after in zip(trained.stages, loaded.stages, strict=True):
        images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
        assert np.array_equal(before.network(images)["output"], after.network(images)["output"])
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


def test_rays_pass_through_the_found_positions(bumpy) -> None:
    """Each ray, projected by its own camera, is the found position."""
    mesh, landmarks_mm = bumpy
    stage = _stage(build_network(32, width=4))
    found, rays = find_rays(stage, [mesh], landmarks_mm[:1] + 1.0)

    along = rays.origins_mm + 7.0 * rays.directions
    for view, xy, point in zip(VIEWS, found.xy[:, 1], along[0, :, 1], strict=True):
        right, up, _ = view.object_from_view.T @ (point - landmarks_mm[0] - 1.0) / CROP_SIZE.width_mm
        assert np.allclose(xy, [0.5 + right, 0.5 - up], atol=1e-6)
    assert np.allclose(ray_errors_mm(rays, along[0, 2, 1])[0, 2, 1], 0, atol=1e-6)
    assert found.xy.shape == map_moments(np.zeros((4, 2, 16, 16))).xy.shape == (4, 2, 2)


def test_the_spread_of_the_networks_measures_their_disagreement(ball, trained) -> None:
    """Two equal networks give the result of one and agree; an untrained network disagrees."""
    mesh, landmarks_mm = ball(13.0)
    stage = trained.stages[0]
    images, model = keras.Input(stage.network.input_shape), load_model(stage.network.keras)
    first = model(images)[:, :1]
    untrained = build_network(32, width=8, networks=1)
    untrained.name = "untrained"
    odd = untrained(images)

    def found(*maps):
        model = keras.Model(images, keras.ops.concatenate(maps, axis=1))
        return refine(
            replace(trained, stages=(replace(stage, network=export_network(model)),)), mesh, landmarks_mm + 1.0
        )

    of_one, of_two, of_odd = found(first), found(first, first), found(first, odd)
    assert np.allclose(of_one.unsnapped_mm, of_two.unsnapped_mm, atol=1e-4)
    assert np.isnan(of_one.network_spread_mm).all()
    assert np.allclose(of_two.network_spread_mm, 0, atol=1e-4)
    assert (of_odd.network_spread_mm > 0.1).all()
    assert of_odd.map_spread_mm.shape == (2, 2 * len(VIEWS))
