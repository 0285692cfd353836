"""Directions from which crops show landmarks: the candidate views, and which of them show which landmark."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import View
from featurelib.meshes import Mesh
from featurelib.models.refiner.crops import cameras_at, render_crops, visible_points

PAIR_VIEWS = tuple(View(float(a), float(e)) for a, e in product((0, 20, 40, 60, 75, 90, 105, 118), (-22, 0, 22)))
"""Candidate views of a single pair, all of the left side: from the front to well behind the side view."""

BAND_VIEWS = tuple(View(float(a), float(e)) for e, a in product((-40, 0, 40), range(0, 360, 30)))
"""Candidate views of a set, all around. On 62 skulls with 51 landmarks, elevation 0 alone had an error of 0.195 mm in
place of 0.172, and views from the top and the bottom hardly mattered."""

JITTER_DEG = (10.0, 10.0)
"""Training crops are turned at random from a candidate view by up to this azimuth and elevation."""

SHOWN = 0.5
"""A view shows a landmark if it is visible on at least this share of the objects."""

PROBE_PX = 48


@dataclass(frozen=True, eq=False)
class Directions:
    """v candidate views, and whether each shows the landmark of each of c channels, (c, v)."""

    views: tuple[View, ...]
    shows: NDArray[np.bool_]

    @classmethod
    def of_pair(cls) -> Self:
        """Return the directions of a single pair, which need no objects."""
        return cls(PAIR_VIEWS, np.ones((1, len(PAIR_VIEWS)), bool))

    @classmethod
    def seen(cls, sides: Iterable[tuple[Mesh, NDArray[np.float64]]], num_channels: int, width_mm: float) -> Self:
        """Return the views in which landmarks are visible on objects.

        A landmark that hardly any view shows, in a fold of the surface, has the views that show it most often; one that
        is on no object has all.

        Args:
            sides: meshes with the points (c, 3) of their channels; NaN if unknown.
            num_channels: c.
            width_mm: of the crops.
        """
        visible, known = np.zeros((num_channels, len(BAND_VIEWS)), int), np.zeros(num_channels, int)
        for mesh, points_mm in sides:
            shown, labelled = _visible(mesh, points_mm, width_mm)
            visible, known = visible + shown, known + labelled
        share = visible / np.maximum(known, 1)[:, None]
        return cls(BAND_VIEWS, share >= np.minimum(SHOWN, 0.8 * share.max(axis=1, keepdims=True)))

    def draw(self, random: np.random.Generator, channels: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return rotations (n, 3, 3), object from camera, of random views that show the landmarks of channels (n,)."""
        chosen = [random.choice(np.flatnonzero(self.shows[channel])) for channel in channels]
        turns = random.uniform(-1, 1, (len(chosen), 2)) * JITTER_DEG
        middles = [(self.views[i].azimuth_deg, self.views[i].elevation_deg) for i in chosen]
        views = [View(*angles) for angles in np.reshape(middles, (-1, 2)) + turns]
        return np.array([view.object_from_view for view in views]).reshape(-1, 3, 3)


def _visible(
    mesh: Mesh, points_mm: NDArray[np.float64], width_mm: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return whether each view shows each point, (c, v), and whether the point is known, (c,)."""
    known = np.isfinite(points_mm).all(axis=1)
    visible = np.zeros((len(points_mm), len(BAND_VIEWS)), int)
    for channel in np.flatnonzero(known):
        cameras = cameras_at(BAND_VIEWS, points_mm[channel], width_mm)
        images = render_crops(mesh, cameras, PROBE_PX)
        for view, (image, camera) in enumerate(zip(images, cameras, strict=True)):
            visible[channel, view] = visible_points(image, camera, points_mm[channel][None])[0]
    return visible, known.astype(int)
