"""The first estimate, the refinement and what becomes of landmarks that a method does not place."""

import numpy as np
import pytest

from featurelib.datasets.shards import RenderSpec
from featurelib.datasets.synthetic import make_body
from featurelib.geometry import DEFAULT_RIG, Alignment, LandmarkSet, canonical
from featurelib.meshes import Mesh
from featurelib.meshes.template import Template, build_template, locate
from featurelib.models.fusion import ViewNoise
from featurelib.models.lifter.model import Lifter
from featurelib.models.predictions import REFINED, Detection
from featurelib.models.predictor import Predictor, near_indices, near_positions
from featurelib.models.refiner.refinement import Refined
from featurelib.models.refiner.refiner import Refiner
from featurelib.models.refiner.repair import MeanShape
from featurelib.models.uncertainty.model import fit_uncertainty

PAIR = LandmarkSet.single_pair("ear")
MIXED = LandmarkSet((("eye_left", "eye_right"), ("ear_left", "ear_right")), midline=("nose",), unpaired=("scar",))
SPEC = RenderSpec("mm", Alignment(), "orthographic", 500.0, 64, DEFAULT_RIG, "raster")
NUM_VIEWS = len(DEFAULT_RIG)


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    body = make_body(np.random.default_rng(0), resolution_mm=9)
    return Mesh.smooth(body.vertices_mm, body.faces)


@pytest.fixture(params=[PAIR, MIXED], ids=["pair", "set"])
def landmarks(request) -> LandmarkSet:
    return request.param


@pytest.fixture
def points_mm(mesh, landmarks) -> np.ndarray:
    """Some points of the mesh, one for each landmark."""
    k = len(landmarks.names)
    return np.asarray(mesh.vertices_mm[np.linspace(0, len(mesh.vertices_mm) - 1, k).astype(int)], np.float64)


def detection_of(mesh: Mesh, points_mm: np.ndarray) -> Detection:
    """Exact positions in all views."""
    cameras = SPEC.cameras(mesh.centre_mm)
    return Detection(np.stack([camera.project(points_mm) for camera in cameras]), np.ones((NUM_VIEWS, len(points_mm))))


def fitted(landmarks: LandmarkSet, names: list[str]):
    """An uncertainty model with limits on some scores, each of an object or of its landmarks."""
    k, random = len(landmarks.names), np.random.default_rng(0)
    sizes = dict.fromkeys(names, k) | {name: () for name in ("shape", "size", "rotation") if name in names}
    scores = [{name: 1 + random.gamma(2, size=size) for name, size in sizes.items()} for _ in range(100)]
    covariance_mm2 = np.broadcast_to(np.eye(3), (100, k, 3, 3))
    return fit_uncertainty(random.normal(size=(100, k, 3)), covariance_mm2, scores, canonical(landmarks).channel)


def lifter_of(landmarks: LandmarkSet, template: Template) -> Lifter:
    """A lifter that fuses the rays of all views."""
    return Lifter(
        SPEC,
        landmarks,
        "robust",
        template=template,
        sigma_mm={"robust": 2.0},
        validation_mm={"robust": 3.0},
        view_noise=dict.fromkeys((False, True), [ViewNoise((1.0,) * NUM_VIEWS, 0.5)] * len(landmarks.names)),
        uncertainty=fitted(landmarks, ["disagreement"]),
    )


def refined_to(points_mm: np.ndarray, covariance_mm2: np.ndarray, present: np.ndarray) -> Refined:
    """What a refiner returns for points (k, 3), without networks' scores."""
    none, k = np.full(len(points_mm), np.nan), len(points_mm)
    return Refined(points_mm, covariance_mm2, none, np.zeros((k, 2)), none, none, none, points_mm, present, none)


def test_the_near_positions_are_those_of_the_nearer_landmark(mesh, points_mm, landmarks) -> None:
    """Of a pair that of the side which is nearer, of other landmarks their own, in each view."""
    detection = detection_of(mesh, points_mm)
    cameras = SPEC.cameras(mesh.centre_mm)

    near = near_indices(SPEC, mesh.centre_mm, points_mm, landmarks)
    xy = near_positions(detection.landmarks_xy, near, landmarks)

    assert near.shape == (NUM_VIEWS, len(landmarks.slots))
    for slot, (left, right) in enumerate(landmarks.slots):
        for view, camera in enumerate(cameras):
            left_mm, right_mm = camera.depth_mm(points_mm[[left, right]])
            nearer = left if left_mm <= right_mm else right
            np.testing.assert_array_equal(xy[slot, view], detection.landmarks_xy[view, nearer])


def test_a_landmark_that_is_not_placed_is_the_templates(mesh, points_mm, landmarks) -> None:
    """The others are where the rays meet; error bars are finite, and a single deviation serves all landmarks."""
    template = build_template([(mesh.vertices_mm, mesh.faces, points_mm)])
    detection = detection_of(mesh, points_mm)
    detection.landmarks_xy[:, -1] = np.nan
    predictor = Predictor(lifter_of(landmarks, template))

    prediction = predictor(mesh, detection)

    located = locate(template, mesh.vertices_mm, mesh.faces)
    assert prediction.method == "robust"
    np.testing.assert_allclose(prediction.landmarks_mm[:-1], points_mm[:-1], atol=1e-3)
    np.testing.assert_array_equal(prediction.landmarks_mm[-1], located.landmarks_mm[-1])
    assert prediction.present.tolist() == [1] * len(landmarks.names)
    np.testing.assert_allclose(prediction.covariance_mm2, np.broadcast_to(4 * np.eye(3), (len(points_mm), 3, 3)))
    assert (prediction.uncertainty.sigma_mm > 0).all()
    assert set(prediction.quality_scores) == {"shape", "surroundings", "size", "rotation", "unseen", "disagreement"}


def test_a_landmark_that_is_not_refined_is_the_first_estimate(mesh, points_mm, landmarks) -> None:
    """Its error bar is that of the first estimate; one that the networks call absent has no position."""
    template = build_template([(mesh.vertices_mm, mesh.faces, points_mm)])
    k = len(points_mm)
    refined_mm, covariance_mm2 = points_mm + 0.1, np.broadcast_to(0.01 * np.eye(3), (k, 3, 3)).copy()
    refined_mm[0], covariance_mm2[0] = np.nan, np.nan
    present = np.array([np.nan, 0.2, *[0.9] * (k - 2)])
    shape = MeanShape.fit(points_mm, points_mm[None])
    uncertainty = fitted(landmarks, ["move"])
    refiner = Refiner(landmarks, (), shape, start="template", validation_mm={REFINED: 0.5}, uncertainty=uncertainty)
    predictor = Predictor(lifter_of(landmarks, template), refiner)
    first_mm = {"template": points_mm + 1.0, "robust": points_mm + 0.5}

    prediction = predictor.combined(first_mm, {"shape": 1.0}, refined_to(refined_mm, covariance_mm2, present))

    assert prediction.method == REFINED
    np.testing.assert_array_equal(prediction.landmarks_mm[0], points_mm[0] + 1.0)
    assert np.isnan(prediction.landmarks_mm[1]).all()
    np.testing.assert_array_equal(prediction.landmarks_mm[2:], refined_mm[2:])
    assert prediction.is_present.tolist() == [True, False, *[True] * (k - 2)]
    np.testing.assert_allclose(prediction.covariance_mm2[0], 4 * np.eye(3))
    assert prediction.uncertainty.accepted[1]
    assert np.isfinite(prediction.uncertainty.sigma_mm).all()
