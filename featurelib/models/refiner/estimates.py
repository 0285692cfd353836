"""First estimates on validation objects: the points that the refiner starts from, and their errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.dataset import MeshFile
from featurelib.models.refiner.calibration import residuals_mm
from featurelib.models.refiner.sides import Sides
from featurelib.models.refiner.stages import CropSize, InitialErrors, first_crop_size, initial_errors_within
from featurelib.models.uncertainty.quality import QualityScores


@dataclass(frozen=True, eq=False)
class FirstEstimates:
    """Estimates of several methods on n validation objects.

    sides: in which landmarks are refined. meshes: (n,) files. truths_mm: (n, k, 3) true landmarks, NaN if unknown.
    absent: (n, k) whether a landmark does not exist. estimates_mm: (n, k, 3) by method, including `template`; NaN where
    the method has no estimate. quality_scores: (n,) of each object's shape and detections. refiners: (n,) for each
    object the folder of a refiner that has not seen it; empty if the one to be trained has seen none.
    """

    sides: Sides
    meshes: tuple[MeshFile, ...]
    truths_mm: NDArray[np.float64]
    absent: NDArray[np.bool_]
    estimates_mm: Mapping[str, NDArray[np.float64]]
    quality_scores: tuple[QualityScores, ...] = ()
    refiners: tuple[str, ...] = ()

    @property
    def start(self) -> str:
        """The method with the least median error over labelled landmarks; a missing estimate counts as infinite.

        The median ignores how large the errors are that exceed the refiner's crops.
        """
        known = _known(self.truths_mm)
        medians_mm = {m: np.median(np.nan_to_num(self._errors_mm(m)[known], nan=np.inf)) for m in self.estimates_mm}
        return min(medians_mm, key=lambda method: float(medians_mm[method]))

    @property
    def validation_mm(self) -> dict[str, float]:
        """The mean error by method, over its finite estimates; methods without any are left out."""
        errors_mm = {method: self._errors_mm(method) for method in self.estimates_mm}
        return {method: float(e[np.isfinite(e)].mean()) for method, e in errors_mm.items() if np.isfinite(e).any()}

    def with_start(self) -> "FirstEstimates":
        """Return the objects for which the start has an estimate of each labelled landmark, and of one at least."""
        found, known = (_known(points_mm) for points_mm in (self.estimates_mm[self.start], self.truths_mm))
        return self.where(np.asarray((found | ~known).all(axis=1) & (found & known).any(axis=1)))

    def where(self, mask: NDArray[np.bool_]) -> "FirstEstimates":
        """Return some of the objects, by a mask (n,)."""
        estimates_mm = {method: points[mask] for method, points in self.estimates_mm.items()}
        meshes, quality_scores = tuple(compress(self.meshes, mask)), tuple(compress(self.quality_scores, mask))
        truths_mm, absent, refiners = self.truths_mm[mask], self.absent[mask], tuple(compress(self.refiners, mask))
        return FirstEstimates(self.sides, meshes, truths_mm, absent, estimates_mm, quality_scores, refiners)

    def crop_size(self, diagonal_mm: float) -> CropSize:
        """Return the crop size of the first stage, for the start's errors and the objects' median diagonal."""
        return first_crop_size(self.residuals_mm(self.start), [diagonal_mm])

    def initial_errors(self, crop_size: CropSize) -> InitialErrors:
        """Return the initial errors of all methods, so that the refiner can start from any of them."""
        return initial_errors_within(self.residuals_mm(*self.estimates_mm), crop_size)

    def residuals_mm(self, *methods: str) -> NDArray[np.float64]:
        """Return the finite errors (m, 3) of some methods, with those of the mirror image mirrored."""
        return np.concatenate(
            [residuals_mm(self.estimates_mm[method], self.truths_mm, self.sides) for method in methods]
        )

    def _errors_mm(self, method: str) -> NDArray[np.float64]:
        return np.asarray(np.linalg.norm(self.estimates_mm[method] - self.truths_mm, axis=-1))


def _known(points_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether points (..., 3) are known, (...)."""
    return np.asarray(np.isfinite(points_mm).all(axis=-1))
