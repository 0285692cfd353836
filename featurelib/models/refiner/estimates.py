"""First estimates of unseen objects: what a refinement starts from, and how far off that is."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.dataset import MeshFile
from featurelib.geometry import mirror_pair
from featurelib.models.refiner.stages import Frame, InitialErrors, first_frame, starting_within
from featurelib.models.uncertainty.quality import QualityScores


@dataclass(frozen=True, eq=False)
class FirstEstimates:
    """What several methods say of n unseen objects.

    meshes: (n,) files. truths_mm: (n, 2, 3). pairs_mm: (n, 2, 3) by method, `template` among them; NaN without an
    answer. evidence: (n,) what speaks against each object itself.
    """

    meshes: tuple[MeshFile, ...]
    truths_mm: NDArray[np.float64]
    pairs_mm: Mapping[str, NDArray[np.float64]]
    quality_scores: tuple[QualityScores, ...] = ()

    @property
    def start(self) -> str:
        """The method with the least median error; no answer counts as infinitely wrong.

        The median, since a refinement does not mind how far off those are that it cannot reach.
        """
        medians_mm = {m: np.median(np.nan_to_num(self._errors_mm(m), nan=np.inf)) for m in self.pairs_mm}
        return min(medians_mm, key=lambda method: float(medians_mm[method]))

    @property
    def validation_mm(self) -> dict[str, float]:
        """The mean error by method, of those that answer at all."""
        errors_mm = {method: self._errors_mm(method) for method in self.pairs_mm}
        return {method: float(e[np.isfinite(e)].mean()) for method, e in errors_mm.items() if np.isfinite(e).any()}

    def answered(self) -> "FirstEstimates":
        """Return the objects for which the start has an answer."""
        return self.where(np.asarray(np.isfinite(self.pairs_mm[self.start]).all(axis=(1, 2))))

    def where(self, mask: NDArray[np.bool_]) -> "FirstEstimates":
        """Return some of the objects, by a mask (n,)."""
        pairs_mm = {method: pairs[mask] for method, pairs in self.pairs_mm.items()}
        meshes, quality_scores = tuple(compress(self.meshes, mask)), tuple(compress(self.quality_scores, mask))
        return FirstEstimates(meshes, self.truths_mm[mask], pairs_mm, quality_scores)

    def frame(self, diagonal_mm: float) -> Frame:
        """Return the frame that holds the start's errors, on objects of a median diagonal."""
        return first_frame(self.residuals_mm(self.start), [diagonal_mm])

    def starts(self, frame: Frame) -> InitialErrors:
        """Return starts as far off as all methods are, so that a refiner takes any of them."""
        return starting_within(self.residuals_mm(*self.pairs_mm), frame)

    def residuals_mm(self, *methods: str) -> NDArray[np.float64]:
        """Return the errors (m, 3) of some methods, whole vectors, right instances mirrored to the left side."""
        errors = np.concatenate([self.pairs_mm[method] - self.truths_mm for method in methods])
        left_mm = np.concatenate([errors[:, 0], mirror_pair(errors)[:, 0]])
        return np.asarray(left_mm[np.isfinite(left_mm).all(axis=1)])

    def _errors_mm(self, method: str) -> NDArray[np.float64]:
        return np.asarray(np.linalg.norm(self.pairs_mm[method] - self.truths_mm, axis=-1))
