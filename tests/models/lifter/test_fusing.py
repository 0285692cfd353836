import numpy as np
import pytest

from featurelib.datasets.shards import RenderSpec
from featurelib.errors import UsageError
from featurelib.geometry import DEFAULT_RIG, PROJECTIONS, SIDES, Alignment
from featurelib.models.fusion import ViewNoise
from featurelib.models.lifter.fusing import FUSIONS, WITHOUT_SURFACE, fused_landmarks, side_noise, usable_views
from featurelib.models.lifter.vectors import Vectors

NOISE = [ViewNoise((1.0,) * len(DEFAULT_RIG), 0.0)] * 2
CENTRE = np.array([3.0, -2.0, 40.0])


def spec(projection: str) -> RenderSpec:
    return RenderSpec("mm", Alignment(), projection, 400.0, 512, DEFAULT_RIG, "raster")


def seen(landmarks_mm, projection) -> np.ndarray:
    """Return the exact positions (v, 2, 2) of left and right in all views."""
    return np.stack([camera.project(landmarks_mm) for camera in spec(projection).cameras(CENTRE)])


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("method", WITHOUT_SURFACE)
def test_perfect_positions_give_the_landmarks_back(method, projection):
    """Fusing exact positions gives both points, with each method, from own views and from all."""
    landmarks_mm = np.array([[70.0, 5.0, 10.0], [-68.0, 4.0, 12.0]])

    np.testing.assert_allclose(
        fused_landmarks(method, seen(landmarks_mm, projection), CENTRE, spec(projection), NOISE),
        landmarks_mm,
        atol=1e-6,
    )


def test_an_instance_is_fused_from_its_own_side_and_the_front():
    """Left and right have mirrored views, and share only the front."""
    left, right = (usable_views(spec("orthographic"), side, all_views=False) for side in SIDES)

    assert np.array_equal(left, right[::-1])
    assert (left & right).sum() == 1
    assert usable_views(spec("orthographic"), "left", all_views=True).all()


def test_noise_is_measured_by_view():
    """Errors of 1 % of the width in one view and 0.1 % in the others are measured in mm."""
    rng = np.random.default_rng(0)
    landmarks_mm = np.array([[70.0, 5.0, 10.0], [-68.0, 4.0, 12.0]])
    scale = np.full((len(DEFAULT_RIG), 1, 1), 0.001)
    scale[6] = 0.01
    landmarks_xy = seen(landmarks_mm, "orthographic") + scale * rng.normal(size=(400, len(DEFAULT_RIG), 2, 2))
    count, xy = len(landmarks_xy), landmarks_xy[:, :, 0]
    vectors = Vectors(
        np.array([str(i) for i in range(count)]),
        np.full(count, "val"),
        xy,
        xy,
        np.broadcast_to(landmarks_mm, (count, 2, 3)),
        np.broadcast_to(CENTRE, (count, 3)),
        landmarks_xy,
    )

    noise = side_noise(vectors, spec("orthographic"), "left", all_views=True)

    np.testing.assert_allclose(noise.sigma_mm, 400 * scale.ravel(), rtol=0.1)


def test_a_fusion_that_needs_the_mesh_rejects_its_absence():
    """The message asks for the mesh."""
    [name] = [name for name, (fusion, all_views) in FUSIONS.items() if fusion == "snapped" and not all_views]
    landmarks_mm = np.array([[70.0, 5.0, 10.0], [-68.0, 4.0, 12.0]])

    with pytest.raises(UsageError, match="needs the object's mesh"):
        fused_landmarks(name, seen(landmarks_mm, "orthographic"), CENTRE, spec("orthographic"), NOISE)
