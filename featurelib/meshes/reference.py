"""The typical shape of a dataset's objects, and the registration of one object to it.

The reference is built from a sample of meshes. Only the half of them that is most similar to the others is used, so
that a few meshes with other axes or units do not distort it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import GeometryError
from featurelib.meshes.mesh import Mesh
from featurelib.meshes.pose_search import NUM_POINTS, ReferenceShape, extent_of, registrations
from featurelib.meshes.registration import Registration, Target, angle_deg, diagonal_mm
from featurelib.meshes.shape import best_orientation, similarity
from featurelib.meshes.template import build_template

REFERENCE_SAMPLE = 24
"""Meshes from which the reference is selected; half of them are not used."""

POSSIBLE_GAIN = -0.1
"""A rotated registration is tried if a rotation lowers an object's similarity to the reference by at most this. The
gain of 60 heads and 60 synthetic busts in poses of up to 15 degrees is at most -0.03. The gain of the same objects
rotated by 180 degrees is at least -0.02."""

CLEAR_SHARE = 0.85
"""A rotated registration is accepted if its residual is below this share of the unrotated one's. On the same objects
the share is at most 0.57 where the object is rotated, and at least 1.8 where it is not."""


@dataclass(frozen=True, eq=False)
class Fit:
    """The registration of the reference to an object.

    rotation: (3, 3) from the reference's axes to the object's.
    landmarks: (k, 3) the object's landmarks in the reference's frame, in units of its size; NaN where not labelled,
        None without labels.
    misfit: mean distance of the reference from the object's surface, as a share of the object's size.
    """

    rotation: NDArray[np.float64]
    landmarks: NDArray[np.float64] | None
    misfit: float

    @property
    def angle_deg(self) -> float:
        """The angle of the rotation."""
        return angle_deg(self.rotation)


def build_reference(meshes: Sequence[Mesh]) -> ReferenceShape:
    """Return the mean shape of the half of the meshes (at least one) that is most similar to the others."""
    radii = np.array([extent_of(mesh).radii for mesh in meshes])
    typical = np.median(similarity(radii), axis=1)
    kept = np.sort(np.argsort(-typical, kind="stable")[: (len(meshes) + 1) // 2])
    shapes = [(meshes[i].vertices_mm, meshes[i].faces, np.zeros((2, 3))) for i in kept]
    template = build_template(shapes, num_points=NUM_POINTS)
    return ReferenceShape(template.points_mm, np.median(radii[kept], axis=0))


def fit_to(mesh: Mesh, reference: ReferenceShape, landmarks_mm: NDArray[np.float64] | None) -> Fit | None:
    """Register the reference to a mesh with landmarks (k, 3); return None if no registration succeeds."""
    found = _registered(mesh, reference)
    if found is None:
        return None
    best, _ = found
    landmarks = None if landmarks_mm is None else best.to_template(landmarks_mm) / reference.size_mm
    return Fit(best.rotation, landmarks, best.residual_mm / diagonal_mm(mesh.vertices_mm))


def corresponding_points(mesh: Mesh, reference: ReferenceShape) -> NDArray[np.float64] | None:
    """Return the points of a mesh that correspond to those of the reference, (NUM_POINTS, 3) in the reference's frame.

    The reference is registered to the mesh, and its points are projected onto the surface, as in `template`. The result
    is None if no registration succeeds.
    """
    found = _registered(mesh, reference)
    if found is None:
        return None
    best, target = found
    return best.to_template(target.project(best.to_object(reference.points_mm)))


def _registered(mesh: Mesh, reference: ReferenceShape) -> tuple[Registration, Target] | None:
    """Return the best registration of the reference, and the mesh as its target; None if none succeeds."""
    try:
        extent, target = extent_of(mesh), Target.sample(mesh.vertices_mm, mesh.faces)
        found = best_orientation(extent.radii, reference.radii)
        rotations = found.rotations if found.gain > POSSIBLE_GAIN else ()
        fits = registrations(reference, target, extent, rotations, unrotated=True)
    except (GeometryError, np.linalg.LinAlgError):
        return None
    if not fits:
        return None
    best = min(fits, key=lambda fit: fit.residual_mm)
    return (fits[0] if best.residual_mm > CLEAR_SHARE * fits[0].residual_mm else best), target
