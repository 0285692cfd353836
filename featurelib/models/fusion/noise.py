"""How good each view is, measured on validation objects whose landmark is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import DataError
from featurelib.geometry import Rays
from featurelib.models.fusion.lines import perpendicular_projector

PRIOR_OBJECTS = 2
"""The mean of all views counts as this many objects in each view's figure, so that a view with one lucky object
does not get all the say, and a view without any has a figure at all."""

MAX_SHARED = 0.9
"""Largest share of the best view's variance that is taken as common to all."""


@dataclass(frozen=True)
class ViewNoise:
    """Errors of v views.

    sigma_mm: of each view, root mean square along one axis of the image plane, at the object.
    shared_mm: the part of it that all views of an object have in common, as the standard deviation along one axis
        of a shift in space: what the networks misread in the shape, they misread from everywhere.
    """

    sigma_mm: tuple[float, ...]
    shared_mm: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"sigma_mm": list(self.sigma_mm), "shared_mm": self.shared_mm}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the noise that `to_dict` wrote."""
        return cls(tuple(float(value) for value in values["sigma_mm"]), float(values["shared_mm"]))


def measure_noise(rays: Rays, truth_mm: ArrayLike, usable: ArrayLike) -> ViewNoise:
    """Return the noise of v views from n objects.

    With e_i the shortest way from the true point to ray i and A_i the projection across it, a shift in space of
    variance t^2 an axis gives E[e_i . e_j] = t^2 trace(A_i A_j) for two views i and j; t^2 is the ratio of the sums of
    both sides over all pairs of views and all objects.

    Args:
        rays: origins and directions (n, v, 3); may be NaN where not usable.
        truth_mm: (n, 3).
        usable: (n, v).

    Raises:
        DataError: if there is no usable view of any object.
    """
    mask = np.asarray(usable, dtype=bool)
    if not mask.any():
        raise DataError("view noise: no usable view of any validation object; expected at least one")
    total, count = np.zeros(mask.shape[1]), mask.sum(axis=0)
    together = possible = 0.0
    for origins, directions, point, seen in zip(*rays, np.asarray(truth_mm), mask, strict=True):
        projections = perpendicular_projector(Rays(origins[seen], directions[seen]))
        errors = np.einsum("nij,nj->ni", projections, origins[seen] - point)
        total[seen] += (errors**2).sum(axis=1) / 2
        together += float((errors.sum(axis=0) ** 2).sum() - (errors**2).sum())
        possible += float((projections.sum(axis=0) ** 2).sum() - (projections**2).sum())
    variances: NDArray[np.float64] = (total + PRIOR_OBJECTS * total.sum() / count.sum()) / (count + PRIOR_OBJECTS)
    shared = max(together, 0.0) / possible if possible > 0 else 0.0
    shared = min(shared, MAX_SHARED * float(variances.min()))
    return ViewNoise(tuple(float(value) for value in np.sqrt(variances)), float(np.sqrt(shared)))
