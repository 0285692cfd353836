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

NOT_KNOWN = np.empty((0, 0), np.intp)


class Lifted(NamedTuple):
    """An object's k landmarks by one method.

    landmarks_mm: (k, 3), object frame; NaN if the method places none, or the object does not have the landmark.
    is_present: (k,) whether the object has the landmark.
    sigma_mm: (k,) NaN if the method's error is not known.
    uncertainty: of the run's own choice of method; None for a requested method.
    near: (v, s) which landmark of each slot is the nearer one, 0 or 1; -1 if not known.
    versions: hashes of the lifter and the refiner, if the run has them.
    """

    landmarks_mm: NDArray[np.float64]
    method: str
    is_present: NDArray[np.bool_]
    sigma_mm: NDArray[np.float64]
    uncertainty: Uncertainty | None = None
    near: NDArray[np.intp] = NOT_KNOWN
    versions: Mapping[str, str] = {}


class RegisteredMesh(NamedTuple):
    """A mesh in the object frame, and the landmarks of the mean shape registered to it."""

    mesh: Mesh
    located: LocatedLandmarks


def lift_views(
    lifter: "Lifter", near: NDArray[np.intp], detection: Detection, centre_mm: ArrayLike, method: str | None
) -> Lifted:
    """Return the landmarks by a method that needs no mesh; near (v, s) is the nearer landmark of each slot.

    Raises:
        UsageError: if the method is unknown.
    """
    from featurelib.models.predictor import near_positions

    method = method or lifter.chosen
    xy = near_positions(detection.landmarks_xy, near, lifter.landmarks)
    landmarks_mm = lifter(xy, np.array(centre_mm), method, detection.landmarks_xy)
    sigma_mm = np.full(len(landmarks_mm), lifter.sigma_mm.get(method, np.nan))
    return Lifted(landmarks_mm, method, np.ones(len(landmarks_mm), bool), sigma_mm, near=near)


def lift_mesh(predictor: "Predictor", registered: RegisteredMesh, detection: Detection, method: str | None) -> Lifted:
    """Return the landmarks by any method, by default the run's own choice.

    Raises:
        UsageError: if the method is unknown.
    """
    from featurelib.models.predictor import near_indices

    (mesh, located), lifter = registered, predictor.lifter
    if method is None or method in MESH_METHODS:
        lifted = _predicted(predictor, registered, detection, method)
        near = near_indices(lifter.spec, mesh.centre_mm, lifted.landmarks_mm, lifter.landmarks)
        return lifted._replace(near=near)
    near = near_indices(lifter.spec, mesh.centre_mm, located.landmarks_mm, lifter.landmarks)
    return lift_views(lifter, near, detection, mesh.centre_mm, method)


def _predicted(predictor: "Predictor", registered: RegisteredMesh, detection: Detection, method: str | None) -> Lifted:
    """Return a predictor's own choice, or its result by one of MESH_METHODS."""
    prediction = predictor(registered.mesh, detection, registered.located)
    if method is None or method == prediction.method:
        uncertainty, present = prediction.uncertainty, prediction.is_present
        return Lifted(prediction.landmarks_mm, prediction.method, present, uncertainty.sigma_mm, uncertainty)
    if method not in prediction.estimates_mm:
        known = ", ".join(prediction.estimates_mm)
        raise UsageError(f"method {method!r}: this run has no refiner; expected one of {known}")
    landmarks_mm = prediction.estimates_mm[method]
    return Lifted(landmarks_mm, method, np.ones(len(landmarks_mm), bool), np.full(len(landmarks_mm), np.nan))


def warm_lifter(lifter: "Lifter") -> None:
    """Run a lifter once, so that no request waits for it."""
    num_views, slots = len(lifter.spec.rig), lifter.landmarks.slots
    landmarks_xy = np.full((num_views, len(lifter.landmarks.names), 2), 0.5)
    with contextlib.suppress(FeaturelibError):  # these rays may determine no landmark
        lifter(np.full((len(slots), num_views, 2), 0.5), np.zeros(3), landmarks_xy=landmarks_xy)


def warm_predictor(predictor: "Predictor") -> None:
    """Run a predictor once on a ball, so that no request waits for the tracing of its graphs."""
    from trimesh.creation import icosphere

    lifter = predictor.lifter
    assert lifter.template is not None  # each predictor has one
    ball = icosphere(subdivisions=4, radius=float(np.abs(lifter.template.points_mm).max()))
    shape = (len(lifter.spec.rig), len(lifter.landmarks.names))
    detection = Detection(np.full((*shape, 2), 0.5), np.full(shape, 0.5))
    with contextlib.suppress(FeaturelibError):  # a ball may have no prediction
        predictor(Mesh.smooth(ball.vertices, ball.faces), detection)
