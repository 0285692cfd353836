import numpy as np
import pytest

from featurelib.datasets.shards import RenderSpec
from featurelib.errors import DataError, UsageError
from featurelib.geometry import DEFAULT_RIG, PROJECTIONS, Alignment, LandmarkSet
from featurelib.models.fusion import Surface, ViewNoise
from featurelib.models.lifter.fusing import (
    FUSIONS,
    ON_SURFACE,
    WITHOUT_SURFACE,
    fused_landmarks,
    landmark_noise,
    surface_landmarks,
    usable_views,
)
from featurelib.models.lifter.vectors import Vectors

PAIR = LandmarkSet.single_pair("ear")
MIXED = LandmarkSet((("a_left", "a_right"), ("b_left", "b_right")), midline=("nose",), unpaired=("scar",))
MIXED_MM = np.array([(70, 5, 10), (-68, 4, 12), (40, 60, 30), (-38, 62, 28), (2, -5, 90), (-30, -40, 60)], float)
SHAPES_MM = {PAIR: MIXED_MM[:2], MIXED: MIXED_MM}
CENTRE = np.array([3.0, -2.0, 40.0])
both_sets = pytest.mark.parametrize("landmarks", [PAIR, MIXED], ids=["pair", "mixed"])


def spec(projection: str) -> RenderSpec:
    return RenderSpec("mm", Alignment(), projection, 400.0, 512, DEFAULT_RIG, "raster")


def noise_of(landmarks: LandmarkSet) -> list[ViewNoise]:
    return [ViewNoise((1.0,) * len(DEFAULT_RIG), 0.0)] * len(landmarks.names)


def seen(landmarks_mm, projection) -> np.ndarray:
    """Return the exact positions (v, k, 2) of all landmarks in all views."""
    return np.stack([camera.project(landmarks_mm) for camera in spec(projection).cameras(CENTRE)])


def vectors_of(landmarks: LandmarkSet, landmarks_mm: np.ndarray, landmarks_xy: np.ndarray) -> Vectors:
    """Return validation objects with these labels (n, k, 3) and detections (n, v, k, 2)."""
    count, near = len(landmarks_xy), np.zeros((len(landmarks_xy), len(landmarks.slots), len(DEFAULT_RIG), 2))
    return Vectors(
        landmarks,
        np.array([str(i) for i in range(count)]),
        np.full(count, "val"),
        near,
        near,
        landmarks_mm,
        np.zeros((count, len(landmarks.names)), dtype=bool),
        np.broadcast_to(CENTRE, (count, 3)),
        landmarks_xy,
    )


@both_sets
@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("method", WITHOUT_SURFACE)
def test_perfect_positions_give_the_landmarks_back(method, projection, landmarks):
    """Fusing exact positions gives all points, with each method, from own views and from all."""
    landmarks_mm = SHAPES_MM[landmarks]

    np.testing.assert_allclose(
        fused_landmarks(
            method, seen(landmarks_mm, projection), CENTRE, spec(projection), landmarks, noise_of(landmarks)
        ),
        landmarks_mm,
        atol=1e-6,
    )


@pytest.mark.parametrize("method", WITHOUT_SURFACE)
def test_a_landmark_without_two_positions_is_missing_alone(method):
    """NaN positions of one landmark leave it out, and change no other one."""
    positions = seen(MIXED_MM, "orthographic")
    positions[1:, 2] = np.nan

    found = fused_landmarks(method, positions, CENTRE, spec("orthographic"), MIXED, noise_of(MIXED))

    assert np.isnan(found[2]).all()
    np.testing.assert_allclose(np.delete(found, 2, axis=0), np.delete(MIXED_MM, 2, axis=0), atol=1e-6)


def test_a_landmark_of_a_pair_is_fused_from_its_own_side_and_the_front():
    """Left and right have mirrored views, and share only the front; other landmarks have all views."""
    own = usable_views(spec("orthographic"), MIXED, all_views=False)

    assert np.array_equal(own[0], own[1][::-1])
    assert np.array_equal(own[:2], own[2:4])
    assert (own[0] & own[1]).sum() == 1
    assert own[4:].all()
    assert usable_views(spec("orthographic"), MIXED, all_views=True).all()


def test_noise_is_measured_by_view_and_landmark():
    """Errors of 1 % of the width in one view of one landmark and 0.1 % elsewhere are measured in mm, despite NaN."""
    rng, num_views = np.random.default_rng(0), len(DEFAULT_RIG)
    scale = np.full((num_views, 6, 1), 0.001)
    scale[6, 2] = 0.01
    landmarks_xy = seen(MIXED_MM, "orthographic") + scale * rng.normal(size=(400, num_views, 6, 2))
    labels_mm = np.array(np.broadcast_to(MIXED_MM, (400, 6, 3)))
    labels_mm[:50, 2] = np.nan

    noise = landmark_noise(vectors_of(MIXED, labels_mm, landmarks_xy), spec("orthographic"), all_views=True)

    np.testing.assert_allclose(np.array([each.sigma_mm for each in noise]), 400 * scale[..., 0].T, rtol=0.1)


def test_a_landmark_without_labels_has_the_noise_of_all():
    """Its noise is that of the other landmarks together; without any label there is an error."""
    rng, num_views = np.random.default_rng(0), len(DEFAULT_RIG)
    landmarks_xy = seen(MIXED_MM, "orthographic") + 0.002 * rng.normal(size=(100, num_views, 6, 2))
    labels_mm = np.array(np.broadcast_to(MIXED_MM, (100, 6, 3)))
    labels_mm[:, 5] = np.nan

    noise = landmark_noise(vectors_of(MIXED, labels_mm, landmarks_xy), spec("orthographic"), all_views=False)

    np.testing.assert_allclose(noise[5].sigma_mm, 0.8, rtol=0.15)
    with pytest.raises(DataError, match="no usable view"):
        landmark_noise(vectors_of(MIXED, labels_mm * np.nan, landmarks_xy), spec("orthographic"), all_views=False)


def test_surface_fusions_give_a_set_on_the_mesh():
    """Each of them places all landmarks, which are corners of the mesh; without noise there is no result."""
    faces = np.array([(0, 2, 5), (1, 3, 5), (4, 0, 2), (4, 1, 3), (4, 2, 3), (4, 0, 5)])
    surface, positions = Surface(MIXED_MM, faces), seen(MIXED_MM, "orthographic")
    visible, noise = np.ones(positions.shape[:2]), {False: noise_of(MIXED), True: noise_of(MIXED)}

    found = surface_landmarks(surface, positions, visible, CENTRE, spec("orthographic"), MIXED, noise)

    assert set(found) == set(ON_SURFACE)
    np.testing.assert_allclose(found["snapped"], MIXED_MM, atol=1e-3)
    np.testing.assert_allclose(found["deep_mvlm"], MIXED_MM, atol=1e-3)
    assert surface_landmarks(surface, positions, visible, CENTRE, spec("orthographic"), MIXED, {}) == {}


def test_a_fusion_that_needs_the_mesh_rejects_its_absence():
    """The message asks for the mesh."""
    [name] = [name for name, (fusion, all_views) in FUSIONS.items() if fusion == "snapped" and not all_views]

    with pytest.raises(UsageError, match="needs the object's mesh"):
        fused_landmarks(name, seen(MIXED_MM[:2], "orthographic"), CENTRE, spec("orthographic"), PAIR, noise_of(PAIR))
