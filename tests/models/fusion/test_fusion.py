"""Properties of all methods."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from featurelib.errors import UsageError
from featurelib.geometry import DEFAULT_RIG, PROJECTIONS, SIDES, Rays, lens_for, mirror_views
from featurelib.models.fusion import METHODS, NEEDS_SURFACE, Detections, Surface, from_cameras, fuse, own_side

MASKS = {
    "own": own_side(DEFAULT_RIG.views, "left"),
    "own and front": own_side(DEFAULT_RIG.views, "left", front=True),
    "all": None,
}
every_method = pytest.mark.parametrize("method", METHODS)


@every_method
@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("mask", MASKS)
def test_exact_rays_give_the_exact_point(scene, method, projection, mask) -> None:
    """For all views and projections the point is exact, and the reported numbers are consistent with it."""
    seen = scene(projection=projection, usable=MASKS[mask])

    found = fuse(seen.detections, method)

    np.testing.assert_allclose(found.xyz_mm, seen.truth_mm, atol=1e-6)
    assert found.residual_mm < 1e-6
    assert not (found.used & ~seen.detections.usable).any()
    assert found.used.sum() >= 2
    assert (found.snap_mm is not None) == (method in NEEDS_SURFACE)
    assert found.snap_mm is None or found.snap_mm < 1e-6
    assert np.linalg.eigvalsh(found.covariance_mm2)[0] > 0
    np.testing.assert_array_equal(found.covariance_mm2, found.covariance_mm2.T)


@every_method
@pytest.mark.parametrize("side", SIDES)
def test_an_outlier_moves_least_squares_and_not_the_robust_methods(scene, method, side) -> None:
    """An outlier of 60 mm in one of nine views moves plain averages by over 5 mm, and robust methods by less than 2."""
    found = fuse(scene(side, noise_mm=0.5, outlier_mm=60, seed=3).detections, method)

    error_mm = np.linalg.norm(found.xyz_mm - scene(side).truth_mm)
    if method in ("least_squares", "weighted"):
        assert error_mm > 5
    else:
        assert error_mm < 2
        assert not found.used[np.flatnonzero(own_side(DEFAULT_RIG.views, side))[1]]


@every_method
def test_fusion_is_equivariant_to_rigid_motion(scene, method) -> None:
    """Rotating and shifting rays and mesh rotates and shifts the point and its covariance, and changes nothing else."""
    detections = scene(noise_mm=1.0, shared_mm=0.4, outlier_mm=15).detections
    turn, shift = Rotation.from_rotvec([0.4, -0.7, 0.2]).as_matrix(), np.array([30.0, -200.0, 90.0])
    turned = replace(
        detections,
        rays=Rays(detections.rays.origins_mm @ turn.T + shift, detections.rays.directions @ turn.T),
        surface=Surface(detections.surface.vertices_mm @ turn.T + shift, detections.surface.faces),
    )

    before, after = fuse(detections, method), fuse(turned, method)

    np.testing.assert_allclose(after.xyz_mm, before.xyz_mm @ turn.T + shift, atol=1e-5)
    np.testing.assert_allclose(after.covariance_mm2, turn @ before.covariance_mm2 @ turn.T, atol=1e-4)
    np.testing.assert_array_equal(after.used, before.used)
    assert after.residual_mm == pytest.approx(before.residual_mm, abs=1e-5)
    assert after.snap_mm == (None if before.snap_mm is None else pytest.approx(before.snap_mm, abs=1e-5))


@every_method
@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_mirrored_images_give_the_mirrored_point(scene, method, projection) -> None:
    """Left and right are treated equally: mirrored positions in reversed views give the mirrored result."""
    seen = scene(projection=projection, noise_mm=1.0, outlier_mm=15)
    centre_mm, flip = np.array([4.0, -6.0, 9.0]), np.array([-1, 1, 1])
    vertices, faces = seen.detections.surface
    mirrored = from_cameras(
        DEFAULT_RIG.cameras(centre_mm, lens_for(projection, 420.0), 420.0),
        mirror_views(seen.xy),
        seen.detections.sigma_mm[::-1],
        visibility=seen.detections.visibility[::-1],
        surface=Surface((vertices - centre_mm) * flip + centre_mm, faces[:, ::-1]),
    )

    before, after = fuse(seen.detections, method), fuse(mirrored, method)

    np.testing.assert_allclose(after.xyz_mm - centre_mm, (before.xyz_mm - centre_mm) * flip, atol=1e-5)
    np.testing.assert_allclose(after.covariance_mm2, before.covariance_mm2 * np.outer(flip, flip), atol=1e-4)
    np.testing.assert_array_equal(after.used, before.used[::-1])


@every_method
def test_the_order_of_the_views_does_not_matter(scene, method) -> None:
    """Shuffled views give the same point, and `used` in their order."""
    detections = scene(noise_mm=1.0, outlier_mm=15).detections
    order = np.random.default_rng(1).permutation(9)

    before, after = fuse(detections, method), fuse(_taken(detections, order), method)

    np.testing.assert_allclose(after.xyz_mm, before.xyz_mm, atol=1e-5)
    np.testing.assert_array_equal(after.used, before.used[order])


@every_method
def test_a_view_that_is_not_usable_is_ignored(scene, method) -> None:
    """Its ray may be NaN: the result is that of the other views."""
    detections = scene(noise_mm=1.0).detections
    usable = np.arange(9) != 6
    blind = replace(
        detections, usable=usable, rays=Rays(*(np.where(usable[:, None], part, np.nan) for part in detections.rays))
    )

    found, alone = fuse(blind, method), fuse(_taken(detections, np.flatnonzero(usable)), method)

    np.testing.assert_allclose(found.xyz_mm, alone.xyz_mm, atol=1e-9)
    np.testing.assert_array_equal(found.used[usable], alone.used)
    assert not found.used[6]


@pytest.mark.parametrize("method", [name for name in METHODS if name != "surface"])
@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_rays_give_no_point(scene, method, count) -> None:
    """One view has no depth: the point is NaN, and no view is used."""
    found = fuse(scene(usable=np.arange(9) < count).detections, method)

    assert np.isnan(found.xyz_mm).all()
    assert np.isnan(found.covariance_mm2).all()
    assert not found.used.any()


@pytest.mark.parametrize("method", [name for name in METHODS if name != "surface"])
def test_parallel_rays_give_no_point(scene, method) -> None:
    """Two views from the same direction have no depth."""
    assert np.isnan(fuse(_taken(scene().detections, np.array([7, 7])), method).xyz_mm).all()


@every_method
def test_many_landmarks_are_fused_as_one_by_one(scene, method) -> None:
    """Each landmark of a batch has the result that it has alone, also beside some whose rays fail."""
    alone = [
        scene(noise_mm=1.0, shared_mm=0.3, outlier_mm=15 * (seed % 2), seed=seed, usable=usable).detections
        for seed, usable in enumerate([None, MASKS["own"], MASKS["own and front"], np.arange(9) < 0, None])
    ]
    rays = Rays(*(np.stack(parts) for parts in zip(*(each.rays for each in alone), strict=True)))
    together = replace(
        alone[0],
        rays=rays,
        **{n: np.stack([getattr(d, n) for d in alone]) for n in ("usable", "sigma_mm", "visibility", "shared_mm")},
    )

    found, each_found = fuse(together, method), [fuse(each, method) for each in alone]

    assert np.isnan(found.xyz_mm[3]).all()
    for field in ("xyz_mm", "covariance_mm2", "residual_mm", "used", "snapped"):
        expected = np.stack([getattr(each, field) for each in each_found])
        np.testing.assert_allclose(getattr(found, field), expected, atol=1e-6)


@pytest.mark.parametrize("method", sorted(NEEDS_SURFACE))
def test_a_method_that_needs_the_mesh_rejects_its_absence(scene, method) -> None:
    """The message names the method and the alternative."""
    with pytest.raises(UsageError, match=f"{method}: needs the object's mesh"):
        fuse(replace(scene().detections, surface=None), method)


def test_an_unknown_method_is_rejected(scene) -> None:
    """The message lists the methods."""
    with pytest.raises(UsageError, match="expected one of least_squares, weighted"):
        fuse(scene().detections, "best")


def _taken(detections: Detections, order: np.ndarray) -> Detections:
    """Return the views in this order."""
    names = ("usable", "sigma_mm", "visibility")
    return replace(
        detections,
        rays=Rays(*(part[order] for part in detections.rays)),
        **{name: getattr(detections, name)[order] for name in names},
    )
