"""What a run has learnt after its detector, on one mesh: first estimates, the crops, and what may be claimed."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.datasets.shards import RenderSpec
from featurelib.errors import DataError
from featurelib.geometry import SIDES, near_side
from featurelib.meshes import Mesh
from featurelib.meshes.template import LocatedPair, locate
from featurelib.models.lifter.model import Lifter
from featurelib.models.refiner.files import current_version, refiner_uri
from featurelib.models.refiner.model import load_refiner
from featurelib.models.refiner.refinement import refinement_scores
from featurelib.models.refiner.refiner import Refiner, refine
from featurelib.models.requests import REFINED, Answer, Seen
from featurelib.models.uncertainty import quality
from featurelib.models.uncertainty.model import UncertaintyModel


@dataclass(frozen=True, eq=False)
class Predictor:
    """A run's lifter and, where there is one, its refiner, in one projection."""

    lifter: Lifter
    refiner: Refiner | None = None

    @classmethod
    def load(cls, run: str, projection: str, spec: RenderSpec) -> Self:
        """Return the predictor of a run.

        Raises:
            DataError: if no lifter was trained, or files are not what was written.
        """
        lifter = Lifter.load(run, projection, spec)
        if lifter.template is None:
            raise DataError(f"{run}: no trained lifter; run `featurelib train-lifter --projection {projection}`")
        version = current_version(run, projection)
        return cls(lifter, load_refiner(refiner_uri(run, projection)) if version else None)

    @property
    def method(self) -> str:
        """The one that erred least on validation objects."""
        first_mm = self.lifter.validation_mm[self.lifter.chosen]
        is_better = self.refiner is not None and self.refiner.validation_mm[REFINED] < first_mm
        return REFINED if is_better else self.lifter.chosen

    @property
    def uncertainty(self) -> UncertaintyModel:
        """What may be claimed of the method's answers."""
        found = self.refiner.uncertainty if self.refiner and self.method == REFINED else self.lifter.uncertainty
        if found is None:
            raise DataError(f"method {self.method}: no claims were learnt; train it again")
        return found

    def locate(self, mesh: Mesh) -> LocatedPair:
        """Return where the registered mean shape has the landmarks of a mesh in the object frame."""
        assert self.lifter.template is not None  # load refuses
        return locate(self.lifter.template, mesh.vertices_mm, mesh.faces)

    def __call__(self, mesh: Mesh, seen: Seen, located: LocatedPair | None = None) -> Answer:
        """Return the answer for a mesh in the object frame.

        located: what locate says of the mesh, where it was asked before; it needs no network.

        Raises:
            GeometryError: if the rays fix no point.
        """
        lifter, located = self.lifter, located or self.locate(mesh)
        near_xy = near_positions(lifter.spec, mesh, seen.pair_xy, located.pair_mm)
        first_mm = lifter(near_xy, mesh.centre_mm, pair_xy=seen.pair_xy)
        pairs_mm = {"template": located.pair_mm, lifter.chosen: first_mm}
        against = {**quality.shape_scores(located), **quality.detector_scores(seen.visible)}
        covariance_mm2 = np.broadcast_to(np.eye(3) * lifter.sigma_mm[lifter.chosen] ** 2, (2, 3, 3))
        if self.refiner is not None:
            refined = refine(self.refiner, mesh, pairs_mm[self.refiner.start])
            pairs_mm[REFINED] = refined.pair_mm
            against |= refinement_scores(refined, pairs_mm[self.refiner.start])
            covariance_mm2 = refined.covariance_mm2 if self.method == REFINED else covariance_mm2
        against |= quality.disagreement_scores(pairs_mm[self.method], located.pair_mm)
        return Answer(pairs_mm, self.method, covariance_mm2, against, self.uncertainty.of(covariance_mm2, against))


def near_positions(
    spec: RenderSpec, mesh: Mesh, pair_xy: ArrayLike, pair_mm: NDArray[np.float64]
) -> NDArray[np.floating]:
    """Return the positions (v, 2) of the instance that is nearer in each view, by an estimate (2, 3) of both."""
    near = near_indices(spec, mesh, pair_mm)
    return np.asarray(pair_xy)[np.arange(len(near)), near]


def near_indices(spec: RenderSpec, mesh: Mesh, pair_mm: NDArray[np.float64]) -> list[int]:
    """Return which of SIDES is nearer in each view, by an estimate (2, 3) of both."""
    return [SIDES.index(near_side(camera, pair_mm)) for camera in spec.cameras(mesh.centre_mm)]
