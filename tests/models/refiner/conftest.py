"""Balls with bumps: small objects with exactly known landmarks."""

from collections.abc import Callable

import numpy as np
import pytest

from featurelib.geometry import LandmarkSet
from featurelib.meshes import Mesh
from featurelib.models.refiner.anatomy import Anatomy
from featurelib.models.refiner.directions import Directions
from featurelib.models.refiner.repair import MeanShape
from featurelib.models.refiner.samples import Labels
from featurelib.models.refiner.sides import training_sides

RADIUS_MM = 50.0
TOP = np.array([0.94, 0.2, 0.28]) / np.linalg.norm([0.94, 0.2, 0.28])
"""Direction of the left bump's top from the centre."""

PAIR = LandmarkSet.single_pair("bump")

MIXED = LandmarkSet((("bump_left", "bump_right"), ("low_left", "low_right")), ("front",), ("odd",))
"""Two pairs, a midline and an unpaired landmark."""

TOPS = np.array([TOP, TOP * (-1, 1, 1), [0.6, -0.5, 0.62], [-0.6, -0.5, 0.62], [0.0, 0.45, 0.89], [0.55, 0.8, 0.25]])
"""Directions of the tops of MIXED, of which the first two are those of PAIR."""


def _ball(bump_mm: float = 12.0, rows: int = 60, columns: int = 90, count: int = 2) -> tuple[Mesh, np.ndarray]:
    """Return a ball around (3, -2, 5) mm with the first `count` of TOPS as bumps, and their tops (count, 3)."""
    polar, azimuth = np.meshgrid(np.linspace(0, np.pi, rows), np.arange(columns) / columns * 2 * np.pi, indexing="ij")
    directions = np.stack([np.sin(polar) * np.cos(azimuth), np.cos(polar), np.sin(polar) * np.sin(azimuth)], -1)
    directions = directions.reshape(-1, 3)
    here = (np.arange(rows - 1)[:, None] * columns + np.arange(columns)).ravel()
    aside = (np.arange(rows - 1)[:, None] * columns + (np.arange(columns) + 1) % columns).ravel()
    faces = np.concatenate([np.c_[here, aside, here + columns], np.c_[aside, aside + columns, here + columns]])
    tops = TOPS[:count] / np.linalg.norm(TOPS[:count], axis=1, keepdims=True)
    heights = sum(np.exp(-((directions - top) ** 2).sum(-1) / 2 / 0.15**2) for top in tops)
    centre_mm = np.array([3.0, -2.0, 5.0])
    vertices_mm = directions * (RADIUS_MM + bump_mm * heights)[:, None] + centre_mm
    return Mesh.smooth(vertices_mm, faces), tops * (RADIUS_MM + bump_mm) + centre_mm


def labelled_sides(anatomy: Anatomy, mesh: Mesh, landmarks_mm: np.ndarray) -> list[tuple]:
    """Return mesh, points and absent channels of each side."""
    points_mm = anatomy.sides.points_mm(landmarks_mm)
    return [
        (side, points, np.zeros(len(points), bool))
        for side, points in zip(anatomy.sides.meshes(mesh), points_mm, strict=True)
    ]


def shuffled_batches(samples: list[tuple], random: np.random.Generator, size: int) -> list[tuple]:
    """Return samples of crop_samples as batches of mixed objects."""
    images, labels = zip(*samples, strict=True)
    together = Labels(*(np.concatenate(parts) for parts in zip(*labels, strict=True)))
    order = random.permutation(sum(len(part) for part in images)).reshape(-1, size)
    return [(np.concatenate(images)[chosen], together.take(chosen)) for chosen in order]


@pytest.fixture(scope="session")
def labelled() -> Callable[..., list[tuple]]:
    return labelled_sides


@pytest.fixture(scope="session")
def in_batches() -> Callable[..., list[tuple]]:
    return shuffled_batches


@pytest.fixture(scope="session")
def ball() -> Callable[..., tuple[Mesh, np.ndarray]]:
    return _ball


@pytest.fixture(scope="session")
def bumpy() -> tuple[Mesh, np.ndarray]:
    return _ball()


@pytest.fixture(scope="session")
def knobbly() -> tuple[Mesh, np.ndarray]:
    """A ball with the bumps of MIXED."""
    return _ball(count=len(MIXED.names))


@pytest.fixture(scope="session")
def pair() -> Anatomy:
    """The anatomy of the balls with a pair."""
    mean_mm = _ball()[1]
    return Anatomy(PAIR, MeanShape.fit(mean_mm, mean_mm[None]), Directions.of_pair())


@pytest.fixture(scope="session")
def mixed(knobbly) -> Anatomy:
    """The anatomy of the balls with the bumps of MIXED."""
    mesh, mean_mm = knobbly
    sides = training_sides(MIXED)
    parts = zip(sides.meshes(mesh), sides.points_mm(mean_mm), strict=True)
    return Anatomy(MIXED, MeanShape.fit(mean_mm, mean_mm[None]), Directions.seen(parts, sides.num_channels, 60.0))
