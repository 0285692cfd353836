"""How an object is turned against a reference, whatever its turn: the alignment of meshes that stand every way.

The reference's reach (checks.shape) is compared with the object's in 2,024 turns; the few likeliest that lie apart are
refined by iterative closest points (template), and the one that leaves least is taken. Only rotations are tried, so
left and right are never exchanged; what looks alike from the front and from behind is told by what is left over.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from featurelib.errors import DataError, GeometryError
from featurelib.meshes import Mesh
from featurelib.meshes.loading import parse_mesh
from featurelib.meshes.shape import RadialExtent, most_similar, reach
from featurelib.meshes.surface import sample_surface
from featurelib.meshes.template import Registration, Target, register_sampled
from featurelib.runtime import storage

POINTS = 400
"""Points of the reference that are registered; 2,000 are no closer to the truth."""

REACH_POINTS = 8192
"""Points of a surface that its reach is taken from."""

STARTS, APART_DEG = 8, 40.0
"""Turns that are refined, and how far apart they are; registration finds its way from 25 degrees."""

SCALES = (0.5, 2.0)
"""A registration that shrinks or stretches the reference beyond this, against the object's own size, has failed."""

OTHER_DEG = 30.0
"""Two registrations so far apart are two answers."""

CLEAR = 1.5
"""An answer is sure if the next leaves so many times as much."""

MEAN_ROUNDS = 4
"""How often the mean and its weights are taken again."""

ODD = 1.7
"""An object is too unlike the others to be sure of, if it leaves so many times what they leave in the middle."""


@dataclass(frozen=True, eq=False)
class ReferenceShape:
    """What objects are turned to.

    points: (m, 3) of its surface, in the object frame. reach: its own.
    weights: (m,) how much each point counts; None: all alike.
    """

    points: NDArray[np.float64]
    reach: RadialExtent
    weights: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, mesh: Mesh) -> Self:
        """Return an object that stands as it should."""
        return cls(sample_surface(mesh.vertices_mm, mesh.faces, POINTS), _reach(mesh))

    @property
    def size_mm(self) -> float:
        """The diagonal of its bounding box."""
        return float(np.linalg.norm(np.ptp(self.points, axis=0)))


@dataclass(frozen=True, eq=False)
class Oriented:
    """How an object is turned.

    rotation: (3, 3) from the object as it stands to the reference's axes.
    residual: what the registration leaves, as a share of the reference's size. runner_up: what the next answer leaves.
    points: (m, 3) where the reference's points lie on the object, in the reference's frame and size.
    """

    rotation: NDArray[np.float64]
    residual: float
    runner_up: float
    points: NDArray[np.float64]

    @property
    def turn_deg(self) -> float:
        """The angle by which it has to be turned."""
        return float(np.degrees(Rotation.from_matrix(self.rotation).magnitude()))

    def doubt(self, usual_residual: float) -> str:
        """Return why this is not sure, given what objects leave in the middle; empty if it is."""
        doubts = []
        if self.runner_up < CLEAR * self.residual:
            doubts.append(f"another turn leaves only {self.runner_up / self.residual:.2g} times as much")
        if self.residual > ODD * usual_residual:
            doubts.append(f"it leaves {self.residual / usual_residual:.2g} times what others leave")
        return "; ".join(doubts)


@dataclass(frozen=True, eq=False)
class OrientationJob:
    """One object that is to be turned.

    object_from_source: (4, 4) as it stands now. upright: what it is turned to.
    """

    object_id: str
    mesh_uri: str
    object_from_source: NDArray[np.float64]
    upright: ReferenceShape | None = None


def orientation_of(job: OrientationJob) -> Oriented | str:
    """Load an object's mesh and return how it has to be turned, or why that cannot be told."""
    assert job.upright is not None
    try:
        mesh = parse_mesh(storage.read_bytes(job.mesh_uri), job.mesh_uri, job.object_from_source)
        return find_orientation(mesh, job.upright)
    except (DataError, GeometryError, np.linalg.LinAlgError) as error:
        return str(error)


def find_orientation(mesh: Mesh, upright: ReferenceShape) -> Oriented:
    """Return how a mesh has to be turned to stand as the reference does.

    Raises:
        GeometryError: if no registration holds.
    """
    here, target = _reach(mesh), Target.sample(mesh.vertices_mm, mesh.faces)
    middle = upright.points.mean(axis=0)
    scale = here.mean_mm / float(np.linalg.norm(upright.points - middle, axis=1).mean())
    fits = []
    for turn in most_similar(here.shares, upright.reach.shares, STARTS, APART_DEG):
        start = Registration(scale, turn, here.centroid_mm - scale * turn @ middle, float("inf"))
        fit = register_sampled(upright.points, target, upright.weights, start)
        if SCALES[0] <= fit.scale / scale <= SCALES[1]:
            fits.append(fit)
    if not fits:
        raise GeometryError("no turn brings it near the reference; is it the same kind of object?")
    best = min(fits, key=_left_over)
    others = [fit for fit in fits if _angle_deg(fit.rotation, best.rotation) > OTHER_DEG]
    return Oriented(
        best.rotation.T,
        _left_over(best) / upright.size_mm,
        min(map(_left_over, others), default=float("inf")) / upright.size_mm,
        best.to_template(target.feet(best.to_object(upright.points))),
    )


def mean_reference_shape(upright: ReferenceShape, turned: Sequence[Oriented]) -> ReferenceShape:
    """Return the mean shape of objects, in the axes of the reference that they were turned to.

    Its points weigh the more the less they differ among the objects (generalized Procrustes analysis; Gower, 1975),
    since a long chin or a broad neck would turn the whole head. The quarter that leaves most is left out: it may be
    turned wrongly, or be unlike the rest.

    Args:
        upright: what they were turned to.
        turned: at least one.
    """
    kept = sorted(turned, key=lambda one: one.residual)[: max(1, -(-3 * len(turned) // 4))]
    mean, weights = upright.points, np.ones(len(upright.points))
    for _ in range(MEAN_ROUNDS):
        shapes = np.array([_registered_to(mean, one.points, weights) for one in kept])
        mean, variances = shapes.mean(axis=0), ((shapes - shapes.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0)
        weights = 1 / (variances + max(float(np.percentile(variances, 20)), 1e-9 * upright.size_mm**2))
    return ReferenceShape(mean, upright.reach, weights / weights.mean())


def recentred(upright: ReferenceShape, references: Sequence[Oriented]) -> ReferenceShape:
    """Return a mean shape turned so that objects that stand as they should need no turn, on average.

    What is odd in one object turns all others: of 16 heads as the only reference, one in three leaves more than 5 % of
    the others off by over 5 degrees, nearly all in pitch. The shape's own axes, which come from many objects, count as
    much as one more reference.

    Args:
        upright: the mean shape.
        references: how it would turn those objects.
    """
    turns = Rotation.from_matrix(np.array([one.rotation for one in references]))
    share = len(references) / (len(references) + 1)
    turn = Rotation.from_rotvec(turns.mean().as_rotvec() * share).as_matrix()
    middle = upright.points.mean(axis=0)
    points = (upright.points - middle) @ turn + middle
    return replace(upright, points=points)  # its reach only tells starts, for which a few degrees do not matter


def _registered_to(
    mean: NDArray[np.float64], points: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return points (m, 3) moved, turned and scaled to the same points of a mean shape.

    Least squares by singular values (Umeyama, IEEE PAMI 13(4), 1991), without a reflection.
    """
    shares = weights / weights.sum()
    middle, centre = shares @ points, shares @ mean
    left, sizes, right = np.linalg.svd(((mean - centre) * shares[:, None]).T @ (points - middle))
    signs = np.array([1, 1, np.linalg.det(left @ right)])
    scale = (sizes * signs).sum() / (shares @ ((points - middle) ** 2).sum(axis=1))
    laid: NDArray[np.float64] = scale * (points - middle) @ ((left * signs) @ right).T + centre
    return laid


def _left_over(fit: Registration) -> float:
    """Return what a registration leaves in the reference's size, so that none gains by shrinking."""
    return fit.residual_mm / fit.scale


def _angle_deg(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.degrees(Rotation.from_matrix(one @ other.T).magnitude()))


def _reach(mesh: Mesh) -> RadialExtent:
    return reach(sample_surface(mesh.vertices_mm, mesh.faces, REACH_POINTS))
