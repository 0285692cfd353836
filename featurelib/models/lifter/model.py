"""A trained lifter in RUN/lifter/<projection>/: model.keras, model.tflite, lifter.json, template.npz, config.json."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.shards.spec import RenderSpec
from featurelib.errors import DataError, GeometryError, UsageError
from featurelib.meshes.template import Template
from featurelib.models.fusion import ViewNoise
from featurelib.models.inference import Network
from featurelib.models.lifter.files import is_trained, lifter_uri, read_numbers, read_template
from featurelib.models.lifter.fusing import FUSIONS, WITHOUT_SURFACE, fused_landmarks
from featurelib.models.lifter.rays import triangulate_landmarks
from featurelib.models.lifter.vectors import Vectors
from featurelib.models.uncertainty.model import UncertaintyModel
from featurelib.runtime import storage

METHODS = ("mlp", "triangulation", *WITHOUT_SURFACE)
"""Methods that need no mesh; those that need it and the baselines are in the report only."""


@dataclass(frozen=True, eq=False)
class Lifter:
    """The lifter of a run. Without a trained lifter it has the spec only, and triangulates.

    spec: of the rendering. chosen: of METHODS, the one with the least error on validation objects.
    mlp, mean_mm (2, 3; relative to the centre), template: of the training objects.
    sigma_mm, validation_mm: by method, root mean square error along one axis and mean error on validation objects.
    view_noise: of the left and the right instance, for their own views (False) and for all views (True); empty if the
        detector does not distinguish the sides.
    uncertainty: of the chosen method's landmarks.
    """

    spec: RenderSpec
    chosen: str = "triangulation"
    mlp: Network | None = None
    mean_mm: NDArray[np.float64] | None = None
    template: Template | None = None
    sigma_mm: Mapping[str, float] = field(default_factory=dict)
    validation_mm: Mapping[str, float] = field(default_factory=dict)
    view_noise: Mapping[bool, Sequence[ViewNoise]] = field(default_factory=dict)
    uncertainty: UncertaintyModel | None = None

    @classmethod
    def load(cls, run: str, projection: str, spec: RenderSpec) -> Self:
        """Return the lifter of a run; one that only triangulates if none has been trained."""
        if not is_trained(run, projection):
            return cls(spec)
        uri, numbers = lifter_uri(run, projection), read_numbers(run, projection)
        mlp = Network.read(storage.join(uri, "model"))
        return cls(
            spec,
            numbers["chosen"],
            mlp,
            np.array(numbers["mean_mm"]),
            read_template(run, projection),
            numbers["sigma_mm"],
            numbers["validation_mm"],
            {bool(int(key)): [ViewNoise.from_dict(n) for n in noise] for key, noise in numbers["view_noise"].items()},
            UncertaintyModel.from_dict(numbers["uncertainty"]),
        )

    @property
    def methods(self) -> tuple[str, ...]:
        """The available methods; fusions need a detector that distinguishes the sides."""
        return METHODS if self.view_noise else METHODS[:2]

    def __call__(
        self,
        xy: NDArray[np.floating],
        centre_mm: NDArray[np.floating],
        method: str | None = None,
        landmarks_xy: NDArray[np.floating] | None = None,
    ) -> NDArray[np.float64]:
        """Return both landmarks (2, 3) in mm, object frame.

        Args:
            xy: (v, 2) the detector's near positions in all views.
            centre_mm: (3,) point in the centre of all images.
            method: of METHODS; default: the chosen one.
            landmarks_xy: (v, 2, 2) the positions of left and right, which the fusions use instead of xy.

        Raises:
            UsageError: if the method is unknown, or needs another detector.
            DataError: if the method is `mlp` and none was trained.
            GeometryError: if there are too few rays, or parallel ones only.
        """
        method = method or self.chosen
        if method not in self.methods:
            raise UsageError(f"method {method!r}: expected one of {', '.join(self.methods)}")
        if method in FUSIONS and landmarks_xy is not None:
            noise = self.view_noise[FUSIONS[method][1]]
            return fused_landmarks(method, landmarks_xy, centre_mm, self.spec, noise)
        if method == "triangulation":
            return triangulate_landmarks(xy, centre_mm, self.spec)
        if self.mlp is None:
            raise DataError("method mlp: this run has no lifter; run `featurelib train-lifter` or use triangulation")
        positions = np.asarray(xy, dtype=np.float32).reshape(1, -1)
        return self.mlp(positions)["output"].astype(np.float64).reshape(2, 3) + centre_mm

    def pairs(self, vectors: Vectors, method: str) -> NDArray[np.float64]:
        """Return the landmarks (n, 2, 3) in mm of n objects; NaN if the method raises GeometryError (parallel rays)."""
        rows = zip(vectors.xy, vectors.centre_mm, vectors.landmarks_xy, strict=True)
        return np.stack([self._pair(xy, centre_mm, method, landmarks_xy) for xy, centre_mm, landmarks_xy in rows])

    def _pair(
        self,
        xy: NDArray[np.floating],
        centre_mm: NDArray[np.floating],
        method: str,
        landmarks_xy: NDArray[np.floating],
    ) -> NDArray[np.float64]:
        try:
            return self(xy, centre_mm, method, landmarks_xy)
        except GeometryError:
            return np.full((2, 3), np.nan)
