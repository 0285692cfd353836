"""Find the rotation of an object relative to a reference, for datasets whose meshes have different orientations.

The radial extents of the reference and of the object (`shape`) are compared in 2,024 rotations. The most similar
rotations that differ clearly are refined by registration, and the one with the smallest residual is returned. Only
rotations are tried, so left and right are never exchanged. The residual distinguishes front and back of a shape whose
radial extent is the same in both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from featurelib.errors import DataError, GeometryError
from featurelib.meshes.loading import read_mesh
from featurelib.meshes.mesh import Mesh
from featurelib.meshes.pose_search import ReferenceShape, extent_of, registrations
from featurelib.meshes.procrustes import align_shapes
from featurelib.meshes.registration import Registration, Target, angle_deg
from featurelib.meshes.shape import most_similar

STARTS, APART_DEG = 8, 40.0
"""Number of rotations that are refined, and the smallest angle between two; registration converges from 25 degrees."""

OTHER_DEG = 30.0
"""Registrations that differ by more than this angle are different results."""

CLEAR = 1.5
"""A result is reliable if the residual of the next one is at least this many times its own."""

ODD = 1.7
"""An object is too unlike the others for a reliable result if its residual is above this many times the median."""


@dataclass(frozen=True, eq=False)
class Oriented:
    """The rotation of an object relative to a reference.

    rotation: (3, 3) from the object's axes to the reference's.
    residual: of the registration, as a share of the reference's size. runner_up: of the next different result.
    points_mm: (m, 3) the reference's points projected onto the object, in the reference's frame and size.
    """

    rotation: NDArray[np.float64]
    residual: float
    runner_up: float
    points_mm: NDArray[np.float64]

    @property
    def angle_deg(self) -> float:
        """The angle of the rotation."""
        return angle_deg(self.rotation)

    def review_reason(self, typical_residual: float) -> str:
        """Return why the rotation may be wrong, given the objects' median residual; empty if it is reliable."""
        reasons = []
        if self.runner_up < CLEAR * self.residual:
            reasons.append(f"another rotation has only {self.runner_up / self.residual:.2g} times its residual")
        if self.residual > ODD * typical_residual:
            reasons.append(f"its residual is {self.residual / typical_residual:.2g} times the median")
        return "; ".join(reasons)


@dataclass(frozen=True, eq=False)
class OrientationJob:
    """One object whose rotation is computed.

    object_from_source: (4, 4) without the rotation. reference: the shape that it is compared with.
    """

    object_id: str
    mesh_uri: str
    object_from_source: NDArray[np.float64]
    reference: ReferenceShape | None = None


def orientation_of(job: OrientationJob) -> Oriented | str:
    """Load an object's mesh and return its rotation, or the reason why there is none."""
    assert job.reference is not None
    try:
        return find_orientation(read_mesh(job.mesh_uri, job.object_from_source), job.reference)
    except (DataError, GeometryError, np.linalg.LinAlgError) as error:
        return str(error)


def find_orientation(mesh: Mesh, reference: ReferenceShape) -> Oriented:
    """Return the rotation that brings a mesh into the orientation of the reference.

    Raises:
        GeometryError: if no registration succeeds.
    """
    extent, target = extent_of(mesh), Target.sample(mesh.vertices_mm, mesh.faces)
    starts = most_similar(extent.radii, reference.radii, STARTS, APART_DEG)
    fits = registrations(reference, target, extent, starts)
    if not fits:
        raise GeometryError("no rotation registers it to the reference; is it the same kind of object?")
    best = min(fits, key=_residual_mm)
    others = [fit for fit in fits if angle_deg(fit.rotation @ best.rotation.T) > OTHER_DEG]
    return Oriented(
        best.rotation.T,
        _residual_mm(best) / reference.size_mm,
        min(map(_residual_mm, others), default=float("inf")) / reference.size_mm,
        best.to_template(target.project(best.to_object(reference.points_mm))),
    )


def mean_reference_shape(reference: ReferenceShape, objects: Sequence[Oriented]) -> ReferenceShape:
    """Return the mean shape of objects in the axes of the reference that they were registered to.

    The quarter with the largest residuals is omitted: these objects may have a wrong rotation, or be unlike the rest.

    Args:
        reference: the shape that the objects were registered to.
        objects: at least one.
    """
    kept = sorted(objects, key=lambda one: one.residual)[: max(1, -(-3 * len(objects) // 4))]
    aligned = align_shapes(np.array([one.points_mm for one in kept]), reference.points_mm)
    return ReferenceShape(aligned.mean_mm, reference.radii, aligned.weights)


def recentred(mean: ReferenceShape, references: Sequence[Oriented]) -> ReferenceShape:
    """Rotate a mean shape so that objects with the correct orientation need no rotation on average.

    The peculiarities of a single reference rotate all other objects: with one of 16 heads as the only reference, one
    head in three puts more than 5 % of the others off by over 5 degrees, nearly all in pitch. The orientation of the
    mean shape, which comes from many objects, counts as one more reference.

    Args:
        mean: the mean shape.
        references: objects with the correct orientation, and the rotation that the mean shape gives them.
    """
    rotations = Rotation.from_matrix(np.array([one.rotation for one in references]))
    share = len(references) / (len(references) + 1)
    correction = Rotation.from_rotvec(rotations.mean().as_rotvec() * share).as_matrix()
    middle = mean.points_mm.mean(axis=0)
    points = (mean.points_mm - middle) @ correction + middle
    return replace(mean, points_mm=points)  # its radii only choose initial rotations, where a few degrees do not matter


def _residual_mm(fit: Registration) -> float:
    """Return the residual in the reference's scale, so that shrinking the reference does not reduce it."""
    return fit.residual_mm / fit.scale
