"""All models of a run after its detector, applied to one mesh: first estimate, refinement, uncertainty."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.datasets.shards import RenderSpec
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet, near_in_slots
from featurelib.meshes import Mesh
from featurelib.meshes.template import LocatedLandmarks, locate
from featurelib.models.inference import ONE_THREAD, Device
from featurelib.models.lifter.model import Lifter
from featurelib.models.predictions import REFINED, Detection, Prediction, without_absent
from featurelib.models.refiner.files import current_version, refiner_uri
from featurelib.models.refiner.model import load_refiner
from featurelib.models.refiner.refinement import Refined, refinement_scores
from featurelib.models.refiner.refiner import Refiner, refine
from featurelib.models.uncertainty import quality
from featurelib.models.uncertainty.model import UncertaintyModel
from featurelib.models.uncertainty.quality import QualityScores


@dataclass(frozen=True, eq=False)
class Predictor:
    """A run's lifter and, if it was trained, its refiner, in one projection."""

    lifter: Lifter
    refiner: Refiner | None = None

    @classmethod
    def load(
        cls, run: str, projection: str, spec: RenderSpec, landmarks: LandmarkSet, device: Device = ONE_THREAD
    ) -> Self:
        """Return the predictor of a run on a landmark set, whose refiner a device runs.

        Raises:
            DataError: if no lifter was trained, it was trained on another set, or a file is damaged.
        """
        lifter = Lifter.load(run, projection, spec, landmarks)
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
            GeometryError: if the rays determine no landmark.
        """
        located = located or self.locate(mesh)
        first_mm = self._first_mm(mesh, detection, located)
        estimates_mm = {"template": located.landmarks_mm, self.lifter.chosen: first_mm}
        scores = {**quality.shape_scores(located), **quality.detector_scores(detection.visible)}
        refined = refine(self.refiner, mesh, estimates_mm[self.refiner.start]) if self.refiner else None
        return self.combined(estimates_mm, scores, refined)

    def combined(
        self, estimates_mm: Mapping[str, NDArray[np.float64]], scores: QualityScores, refined: Refined | None = None
    ) -> Prediction:
        """Return the prediction from the results of all methods.

        Where the refiner places no landmark, the estimate that it started from stands, with the error bar of the
        lifter's method.

        Args:
            estimates_mm: (k, 3) by method: `template`, the lifter's chosen one and the refiner's start.
            scores: of the first estimates.
            refined: by the refiner, from its start.
        """
        present = np.ones(len(estimates_mm["template"]))
        variances_mm2 = np.broadcast_to(self.lifter.sigma_mm[self.lifter.chosen], present.shape) ** 2
        covariance_mm2 = variances_mm2[:, None, None] * np.eye(3)
        found_mm = dict(estimates_mm)
        if self.refiner is not None and refined is not None:
            start_mm, failed = found_mm[self.refiner.start], np.isnan(refined.landmarks_mm[:, :1])
            found_mm[REFINED] = np.where(failed, start_mm, refined.landmarks_mm)
            present = np.where(np.isnan(refined.present), 1.0, refined.present)
            scores = {**scores, **refinement_scores(refined, start_mm)}
            if self.method == REFINED:
                covariance_mm2 = np.where(failed[..., None], covariance_mm2, refined.covariance_mm2)
        scores = {**scores, **quality.disagreement_scores(found_mm[self.method], found_mm["template"])}
        uncertainty = without_absent(self.uncertainty.of(covariance_mm2, scores), present)
        return Prediction(found_mm, self.method, covariance_mm2, scores, uncertainty, present)

    def _first_mm(self, mesh: Mesh, detection: Detection, located: LocatedLandmarks) -> NDArray[np.float64]:
        """Return the lifter's landmarks (k, 3); one that it does not place is the template's."""
        lifter = self.lifter
        near = near_indices(lifter.spec, mesh.centre_mm, located.landmarks_mm, lifter.landmarks)
        near_xy = near_positions(detection.landmarks_xy, near, lifter.landmarks)
        found_mm = lifter(near_xy, mesh.centre_mm, landmarks_xy=detection.landmarks_xy)
        return np.where(np.isnan(found_mm), located.landmarks_mm, found_mm)


def near_indices(
    spec: RenderSpec, centre_mm: NDArray[np.float64], landmarks_mm: ArrayLike, landmarks: LandmarkSet
) -> NDArray[np.intp]:
    """Return which landmark of each slot is the nearer one in each view (v, s), 0 or 1, for landmarks (k, 3).

    -1 if one of the two is NaN.
    """
    return np.stack([near_in_slots(camera, landmarks_mm, landmarks.slots) for camera in spec.cameras(centre_mm)])


def near_positions(landmarks_xy: ArrayLike, near: NDArray[np.intp], landmarks: LandmarkSet) -> NDArray[np.floating]:
    """Return the position of the nearer landmark of each slot in each view (s, v, 2).

    Args:
        landmarks_xy: (v, k, 2) positions of all landmarks.
        near: (v, s) of `near_indices`; where it is not known, the first landmark of the slot counts as near.
        landmarks: the set.
    """
    chosen = landmarks.slots[np.arange(near.shape[1]), np.maximum(near, 0)]
    return np.take_along_axis(np.asarray(landmarks_xy), chosen[..., None], axis=1).swapaxes(0, 1)
