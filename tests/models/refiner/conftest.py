"""A ball with a bump on each side: a small object with an exactly known landmark pair."""

from collections.abc import Callable

import numpy as np
import pytest

from featurelib.meshes import Mesh

RADIUS_MM = 50.0
TOP = np.array([0.94, 0.2, 0.28]) / np.linalg.norm([0.94, 0.2, 0.28])
"""Direction of the left bump's top from the centre."""


def _ball(bump_mm: float = 12.0, rows: int = 60, columns: int = 90) -> tuple[Mesh, np.ndarray]:
    """Return a ball around (3, -2, 5) mm with two mirrored bumps, and the tops of these (2, 3)."""
    polar, azimuth = np.meshgrid(np.linspace(0, np.pi, rows), np.arange(columns) / columns * 2 * np.pi, indexing="ij")
    directions = np.stack([np.sin(polar) * np.cos(azimuth), np.cos(polar), np.sin(polar) * np.sin(azimuth)], -1)
    directions = directions.reshape(-1, 3)
    here = (np.arange(rows - 1)[:, None] * columns + np.arange(columns)).ravel()
    aside = (np.arange(rows - 1)[:, None] * columns + (np.arange(columns) + 1) % columns).ravel()
    faces = np.concatenate([np.c_[here, aside, here + columns], np.c_[aside, aside + columns, here + columns]])
    tops = np.array([TOP, TOP * (-1, 1, 1)])
    heights = sum(np.exp(-((directions - top) ** 2).sum(-1) / 2 / 0.15**2) for top in tops)
    centre_mm = np.array([3.0, -2.0, 5.0])
    vertices_mm = directions * (RADIUS_MM + bump_mm * heights)[:, None] + centre_mm
    return Mesh.smooth(vertices_mm, faces), tops * (RADIUS_MM + bump_mm) + centre_mm


@pytest.fixture(scope="session")
def ball() -> Callable[..., tuple[Mesh, np.ndarray]]:
    return _ball


@pytest.fixture(scope="session")
def bumpy() -> tuple[Mesh, np.ndarray]:
    return _ball()
