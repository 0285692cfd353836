"""The published method."""

from dataclasses import replace

import numpy as np

from featurelib.geometry import Rays
from featurelib.models.fusion import fuse


def test_only_the_better_half_is_used(scene) -> None:
    """Views with a low visibility may have any rays."""
    seen = scene(noise_mm=0.3)
    far = np.arange(9) < 4
    origins = seen.detections.rays.origins_mm + far[:, None] * np.array([0.0, 70.0, 0.0])

    found = fuse(replace(seen.detections, rays=Rays(origins, seen.detections.rays.directions)), "deep_mvlm")

    assert np.linalg.norm(found.xyz_mm - seen.truth_mm) < 1
    assert not found.used[far].any()


def test_the_snap_has_no_limit(scene) -> None:
    """The result is on the surface at any distance."""
    detections = scene(noise_mm=0.5).detections
    moved = replace(detections, surface=detections.surface._replace(vertices_mm=detections.surface.vertices_mm * 0.3))

    found = fuse(moved, "deep_mvlm")

    assert found.snapped
    assert found.snap_mm > 20


def test_triples_of_many_views_are_drawn_with_a_seed(scene) -> None:
    """With 36 views not all triples are evaluated: the result is still correct, and reproducible."""
    detections = scene(noise_mm=0.5).detections
    many = replace(
        detections,
        rays=Rays(*(np.tile(part, (4, 1)) for part in detections.rays)),
        usable=np.ones(36, dtype=bool),
        sigma_mm=np.tile(detections.sigma_mm, 4),
        visibility=None,
    )

    first, again = fuse(many, "deep_mvlm"), fuse(many, "deep_mvlm")

    np.testing.assert_array_equal(first.xyz_mm, again.xyz_mm)
    assert np.linalg.norm(first.xyz_mm - scene().truth_mm) < 2
