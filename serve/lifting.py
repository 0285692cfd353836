"""The landmarks of one object by any method of a run: the functions behind `LifterStage`."""

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import FeaturelibError, UsageError
from featurelib.meshes import Mesh
from featurelib.meshes.template import LocatedLandmarks
from featurelib.models.predictions import REFINED, Detection
from featurelib.models.uncertainty.model import Uncertainty

if TYPE_CHECKING:
    from featurelib.models.lifter.model import Lifter
    from featurelib.models.predictor import Predictor

MESH_METHODS = (REFINED, "template")
"""Methods that need the object's mesh."""


class Lifted(NamedTuple):
    """Both landmarks by one method.

    landmarks_mm: (2, 3), object frame. sigma_mm: of each; None if the method's error is not known.
    uncertainty: of the run's own choice of method; None for a requested method.
    covariance_mm2: (2, 3, 3), with the mean variances sigma_mm^2; None if only those are known.
    near: index in SIDES of the nearer instance in each view; None for fusions without a mesh.
    versions: hashes of the lifter and the refiner, if the run has them.
    """

    landmarks_mm: list[list[float]]
    method: str
    sigma_mm: tuple[float | None, float | None]
    uncertainty: Uncertainty | None = None
    covariance_mm2: list[list[list[float]]] | None = None
    near: list[int] | None = None
    versions: Mapping[str, str] = {}


class RegisteredMesh(NamedTuple):
    """A mesh in the object frame, and the landmarks of the mean shape registered to it."""

    mesh: Mesh
    located: LocatedLandmarks


def lift_views(
    lifter: "Lifter", xy: NDArray[np.floating], detection: Detection, centre_mm: ArrayLike, method: str | None
) -> Lifted:
    """Return the landmarks by a method that needs no mesh; xy (v, 2) are the near instance's positions.

    Raises:
        UsageError: if the method is unknown.
    """
    method = method or lifter.chosen
    landmarks_mm = lifter(xy, np.array(centre_mm), method, detection.landmarks_xy)
    sigma_mm = lifter.sigma_mm.get(method)
    return Lifted(landmarks_mm.tolist(), method, (sigma_mm, sigma_mm))


def lift_mesh(predictor: "Predictor", registered: RegisteredMesh, detection: Detection, method: str | None) -> Lifted:
    """Return the landmarks by any method, by default the run's own choice, and the near side in each view.

    Raises:
        UsageError: if the method is unknown.
    """
    from featurelib.models.predictor import near_indices

    mesh, located = registered
    spec = predictor.lifter.spec
    if method is None or method in MESH_METHODS:
        lifted = _predicted(predictor, registered, detection, method)
        return lifted._replace(near=near_indices(spec, mesh, np.array(lifted.landmarks_mm)))
    near = near_indices(spec, mesh, located.landmarks_mm)
    xy = detection.landmarks_xy[np.arange(len(near)), near]
    return lift_views(predictor.lifter, xy, detection, mesh.centre_mm, method)._replace(near=near)


def _predicted(predictor: "Predictor", registered: RegisteredMesh, detection: Detection, method: str | None) -> Lifted:
    """Return a predictor's own choice, or its result by one of MESH_METHODS."""
    prediction = predictor(registered.mesh, detection, registered.located)
    if method is None or method == prediction.method:
        uncertainty = prediction.uncertainty
        left, right = uncertainty.sigma_mm.tolist()
        covariance_mm2 = uncertainty.covariance_mm2.tolist()
        return Lifted(prediction.landmarks_mm.tolist(), prediction.method, (left, right), uncertainty, covariance_mm2)
    if method not in prediction.estimates_mm:
        known = ", ".join(prediction.estimates_mm)
        raise UsageError(f"method {method!r}: this run has no refiner; expected one of {known}")
    return Lifted(prediction.estimates_mm[method].tolist(), method, (None, None))


def warm_lifter(lifter: "Lifter") -> None:
    """Run a lifter once, so that no request waits for it."""
    middle = np.full((len(lifter.spec.rig), 2, 2), 0.5)
    lifter(middle[:, 0], np.zeros(3), landmarks_xy=middle)


def warm_predictor(predictor: "Predictor") -> None:
    """Run a predictor once on a ball, so that no request waits for the tracing of its graphs."""
    from trimesh.creation import icosphere

    assert predictor.lifter.template is not None  # each predictor has one
    ball = icosphere(subdivisions=4, radius=float(np.abs(predictor.lifter.template.points_mm).max()))
    num_views = len(predictor.lifter.spec.rig)
    detection = Detection(np.full((num_views, 2, 2), 0.5), np.full((num_views, 2), 0.5))
    with contextlib.suppress(FeaturelibError):  # a ball may have no prediction
        predictor(Mesh.smooth(ball.vertices, ball.faces), detection)
