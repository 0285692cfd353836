"""The noise of each view, measured on validation objects."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import DataError
from featurelib.geometry import Rays
from featurelib.models.fusion.lines import perpendicular_projector

PRIOR_OBJECTS = 2
"""Weight of the mean over all views in the estimate of each view, in objects. It limits the weight of a view with few
objects, and gives an estimate for a view without any."""

MAX_SHARED = 0.9
"""Maximum share of the best view's variance that is treated as shared by all views."""


@dataclass(frozen=True)
class ViewNoise:
    """Errors of v views.

    sigma_mm: (v,) root mean square error along one axis of the image plane, at the object.
    shared_mm: the part of it that all views of an object share: the standard deviation along one axis of a shift in
        space. Networks misread the same shape similarly in all views.
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
    """Return the noise of v views for one landmark of n objects.

    Let e_i be the vector from the true point to the closest point of ray i, and A_i the projection perpendicular to the
    ray. A shift in space with variance t^2 per axis gives E[e_i . e_j] = t^2 trace(A_i A_j) for two views i and j. The
    estimate of t^2 is the ratio of the sums of both sides over all pairs of views and all objects.

    Args:
        rays: origins and directions (n, v, 3); may be NaN where not usable.
        truth_mm: (n, 3), NaN where not labelled; such objects are left out.
        usable: (n, v).

    Raises:
        DataError: if there is no usable view of any object.
    """
    truth = np.asarray(truth_mm, dtype=np.float64)[:, None]
    mask = np.asarray(usable, dtype=bool) & np.isfinite(truth).all(axis=-1)
    if not mask.any():
        raise DataError("view noise: no usable view of any validation object; expected at least one")
    count = mask.sum(axis=0)
    projections = np.where(mask[..., None, None], perpendicular_projector(rays), 0.0)
    errors = np.einsum("nvij,nvj->nvi", projections, np.where(mask[..., None], rays.origins_mm - truth, 0.0))
    total = (errors**2).sum(axis=(0, 2)) / 2
    together = float((errors.sum(axis=1) ** 2).sum() - (errors**2).sum())
    possible = float((projections.sum(axis=1) ** 2).sum() - (projections**2).sum())
    variances: NDArray[np.float64] = (total + PRIOR_OBJECTS * total.sum() / count.sum()) / (count + PRIOR_OBJECTS)
    shared = max(together, 0.0) / possible if possible > 0 else 0.0
    shared = min(shared, MAX_SHARED * float(variances.min()))
    return ViewNoise(tuple(float(value) for value in np.sqrt(variances)), float(np.sqrt(shared)))
