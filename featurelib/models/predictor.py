"""All models of a run after its detector, applied to one mesh: first estimate, refinement, uncertainty."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.datasets.shards import RenderSpec
from featurelib.errors import DataError
from featurelib.geometry import SIDES, near_side
from featurelib.meshes import Mesh
from featurelib.meshes.template import LocatedLandmarks, locate
from featurelib.models.inference import ONE_THREAD, Device
from featurelib.models.lifter.model import Lifter
from featurelib.models.predictions import REFINED, Detection, Prediction
from featurelib.models.refiner.files import current_version, refiner_uri
from featurelib.models.refiner.model import load_refiner
from featurelib.models.refiner.refinement import refinement_scores
from featurelib.models.refiner.refiner import Refiner, refine
from featurelib.models.uncertainty import quality
from featurelib.models.uncertainty.model import UncertaintyModel


@dataclass(frozen=True, eq=False)
class Predictor:
    """A run's lifter and, if it was trained, its refiner, in one projection."""

    lifter: Lifter
    refiner: Refiner | None = None

    @classmethod
    def load(cls, run: str, projection: str, spec: RenderSpec, device: Device = ONE_THREAD) -> Self:
        """Return the predictor of a run, whose refiner a device runs.

        Raises:
            DataError: if no lifter was trained, or a file is damaged.
        """
        lifter = Lifter.load(run, projection, spec)
        if lifter.template is None:
            raise DataError(f"{run}: no trained lifter; run `featurelib train-lifter --projection {projection}`")
        version = current_version(run, projection)
        return cls(lifter, load_refiner(refiner_uri(run, projection), device) if version else None)

    @property
    def method(self) -> str:
        """The method with the smallest mean error on validation objects."""
        first_mm = self.lifter.validation_mm[self.lifter.chosen]
        is_better = self.refiner is not None and self.refiner.validation_mm[REFINED] < first_mm
        return REFINED if is_better else self.lifter.chosen

    @property
    def uncertainty(self) -> UncertaintyModel:
        """The uncertainty model of the selected method."""
        found = self.refiner.uncertainty if self.refiner and self.method == REFINED else self.lifter.uncertainty
        if found is None:
            raise DataError(f"method {self.method}: no uncertainty model was fitted; train it again")
        return found

    def locate(self, mesh: Mesh) -> LocatedLandmarks:
        """Return the landmarks of the mean shape registered to a mesh in the object frame."""
        assert self.lifter.template is not None  # checked by load
        return locate(self.lifter.template, mesh.vertices_mm, mesh.faces)

    def __call__(self, mesh: Mesh, detection: Detection, located: LocatedLandmarks | None = None) -> Prediction:
        """Return the prediction for a mesh in the object frame.

        Args:
            mesh: in the object frame.
            detection: in the rig's views of it.
            located: the result of `locate`, if it is known already.

        Raises:
            GeometryError: if the rays do not determine a point.
        """
        lifter, located = self.lifter, located or self.locate(mesh)
        near_xy = near_positions(lifter.spec, mesh, detection.landmarks_xy, located.landmarks_mm)
        first_mm = lifter(near_xy, mesh.centre_mm, landmarks_xy=detection.landmarks_xy)
        estimates_mm = {"template": located.landmarks_mm, lifter.chosen: first_mm}
        scores = {**quality.shape_scores(located), **quality.detector_scores(detection.visible)}
        covariance_mm2 = np.broadcast_to(np.eye(3) * lifter.sigma_mm[lifter.chosen] ** 2, (2, 3, 3))
        if self.refiner is not None:
            refined = refine(self.refiner, mesh, estimates_mm[self.refiner.start])
            estimates_mm[REFINED] = refined.landmarks_mm
            scores |= refinement_scores(refined, estimates_mm[self.refiner.start])
            covariance_mm2 = refined.covariance_mm2 if self.method == REFINED else covariance_mm2
        scores |= quality.disagreement_scores(estimates_mm[self.method], located.landmarks_mm)
        return Prediction(
            estimates_mm, self.method, covariance_mm2, scores, self.uncertainty.of(covariance_mm2, scores)
        )


def near_positions(
    spec: RenderSpec, mesh: Mesh, landmarks_xy: ArrayLike, landmarks_mm: NDArray[np.float64]
) -> NDArray[np.floating]:
    """Return the positions (v, 2) of the nearer instance in each view, according to an estimate (2, 3) of both."""
    near = near_indices(spec, mesh, landmarks_mm)
    return np.asarray(landmarks_xy)[np.arange(len(near)), near]


def near_indices(spec: RenderSpec, mesh: Mesh, landmarks_mm: NDArray[np.float64]) -> list[int]:
    """Return the index in SIDES of the nearer instance in each view, according to an estimate (2, 3) of both."""
    return [SIDES.index(near_side(camera, landmarks_mm)) for camera in spec.cameras(mesh.centre_mm)]
