"""A trained lifter in RUN/lifter/<projection>/: model.keras, model.tflite, lifter.json, template.npz, config.json."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.shards.spec import RenderSpec
from featurelib.errors import DataError, GeometryError, UsageError
from featurelib.geometry import LandmarkSet
from featurelib.meshes.template import Template
from featurelib.models.fusion import ViewNoise
from featurelib.models.inference import Network
from featurelib.models.lifter.files import is_trained, lifter_uri, read_numbers, read_template, refuse_other_landmarks
from featurelib.models.lifter.fusing import FUSIONS, WITHOUT_SURFACE, fused_landmarks
from featurelib.models.lifter.rays import triangulate_landmarks
from featurelib.models.lifter.vectors import Vectors
from featurelib.models.uncertainty.model import UncertaintyModel
from featurelib.runtime import storage

METHODS = ("mlp", "triangulation", *WITHOUT_SURFACE)
"""Methods that need no mesh; those that need it and the baselines are in the report only."""


@dataclass(frozen=True, eq=False)
class Lifter:
    """The lifter of a run. Without a trained lifter it has the spec and the set only, and triangulates.

    spec: of the rendering. landmarks: the set.
    chosen: of METHODS, the one with the least mean error over the labelled landmarks of validation objects.
    mlp, mean_mm (k, 3; relative to the centre), mean_xy (s, v, 2), template: of the training objects. The MLP takes the
        mean for a position that is NaN.
    sigma_mm, validation_mm: by method, root mean square error along one axis and mean error on validation objects.
    view_noise: of each of the k landmarks, for their own views (False) and for all views (True); empty if the detector
        finds only near landmarks.
    uncertainty: of the chosen method's landmarks.
    """

    spec: RenderSpec
    landmarks: LandmarkSet
    chosen: str = "triangulation"
    mlp: Network | None = None
    mean_mm: NDArray[np.float64] | None = None
    mean_xy: NDArray[np.float64] | None = None
    template: Template | None = None
    sigma_mm: Mapping[str, float] = field(default_factory=dict)
    validation_mm: Mapping[str, float] = field(default_factory=dict)
    view_noise: Mapping[bool, Sequence[ViewNoise]] = field(default_factory=dict)
    uncertainty: UncertaintyModel | None = None

    @classmethod
    def load(cls, run: str, projection: str, spec: RenderSpec, landmarks: LandmarkSet) -> Self:
        """Return the lifter of a run; one that only triangulates if none has been trained.

        Raises:
            DataError: if it was trained on another landmark set, or a file is damaged.
        """
        if not is_trained(run, projection):
            return cls(spec, landmarks)
        refuse_other_landmarks(run, projection, landmarks)
        uri, numbers = lifter_uri(run, projection), read_numbers(run, projection)
        mlp = Network.read(storage.join(uri, "model"))
        return cls(
            spec,
            landmarks,
            numbers["chosen"],
            mlp,
            np.array(numbers["mean_mm"]),
            np.array(numbers["mean_xy"]),
            read_template(run, projection),
            numbers["sigma_mm"],
            numbers["validation_mm"],
            {bool(int(key)): [ViewNoise.from_dict(n) for n in noise] for key, noise in numbers["view_noise"].items()},
            UncertaintyModel.from_dict(numbers["uncertainty"]),
        )

    @property
    def methods(self) -> tuple[str, ...]:
        """The available methods; fusions need a detector that finds all landmarks in each view."""
        return METHODS if self.view_noise else METHODS[:2]

    def __call__(
        self,
        xy: NDArray[np.floating],
        centre_mm: NDArray[np.floating],
        method: str | None = None,
        landmarks_xy: NDArray[np.floating] | None = None,
    ) -> NDArray[np.float64]:
        """Return the landmarks (k, 3) in mm, object frame; NaN where the method places none.

        Args:
            xy: (s, v, 2) the detector's near positions in all views, by slot.
            centre_mm: (3,) point in the centre of all images.
            method: of METHODS; default: the chosen one.
            landmarks_xy: (v, k, 2) the positions of all landmarks, which the fusions use instead of xy.

        Raises:
            UsageError: if the method is unknown, or needs another detector.
            DataError: if the method is `mlp` and none was trained.
            GeometryError: if the method places no landmark: the rig has too few views of each, or parallel ones only.
        """
        method = method or self.chosen
        if method not in self.methods:
            raise UsageError(f"method {method!r}: expected one of {', '.join(self.methods)}")
        if method == "mlp":
            return self._mlp(xy) + centre_mm
        if method in FUSIONS and landmarks_xy is not None:
            noise = self.view_noise[FUSIONS[method][1]]
            found = fused_landmarks(method, landmarks_xy, centre_mm, self.spec, self.landmarks, noise)
        else:
            found = triangulate_landmarks(xy, centre_mm, self.spec, self.landmarks)
        if np.isnan(found).all():
            raise GeometryError(
                f"method {method}: no landmark has rays that cross; "
                "it needs two views of each side that differ by a degree or more"
            )
        return found

    def _mlp(self, xy: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the landmarks (k, 3) in mm from the centre by the MLP."""
        if self.mlp is None or self.mean_xy is None:
            raise DataError("method mlp: this run has no lifter; run `featurelib train-lifter` or use triangulation")
        positions = np.where(np.isnan(xy), self.mean_xy, xy).astype(np.float32).reshape(1, -1)
        return self.mlp(positions)["output"].astype(np.float64).reshape(-1, 3)

    def estimates_mm(self, vectors: Vectors, method: str) -> NDArray[np.float64]:
        """Return the landmarks (n, k, 3) in mm of n objects; NaN where the method places none."""
        rows = zip(vectors.xy, vectors.centre_mm, vectors.landmarks_xy, strict=True)
        return np.stack([self._estimate(xy, centre_mm, method, landmarks_xy) for xy, centre_mm, landmarks_xy in rows])

    def _estimate(
        self,
        xy: NDArray[np.floating],
        centre_mm: NDArray[np.floating],
        method: str,
        landmarks_xy: NDArray[np.floating],
    ) -> NDArray[np.float64]:
        try:
            return self(xy, centre_mm, method, landmarks_xy)
        except GeometryError:
            return np.full((len(self.landmarks.names), 3), np.nan)
