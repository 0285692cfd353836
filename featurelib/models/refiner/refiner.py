"""Application of the stages: refine estimates of the landmarks. Each stage reads crops and fuses their rays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import GeometryError
from featurelib.geometry import LandmarkSet, Rays
from featurelib.meshes import Mesh
from featurelib.models.refiner.fusion import FusedRays, fuse_rays, snap_along
from featurelib.models.refiner.presence import Presence
from featurelib.models.refiner.readings import Readings, Stage, read_crops
from featurelib.models.refiner.refinement import Refined
from featurelib.models.refiner.repair import MeanShape
from featurelib.models.refiner.sides import refined_sides
from featurelib.models.uncertainty.model import UncertaintyModel

SNAP_REACH = 0.25
"""The snap searches the surface up to this share of the last stage's width around a point: a search of the whole width
takes 10 to 20 ms a landmark."""


@dataclass(frozen=True, eq=False)
class Refiner:
    """The stages in their order of application, and their calibration.

    landmarks: the set. mean_shape: of the set, which replaces estimates that are far off.
    snap: whether the last points are moved onto the surface.
    start: the method whose estimates the first stage refines: `template`, or one of the lifter's.
    validation_mm: mean error by method on validation objects: `refined`, cross-fitted, and the first estimates.
    uncertainty: of the refined landmarks; None before it is fitted.
    presence: of the networks' logits; None if no training object lacks a landmark.
    """

    landmarks: LandmarkSet
    stages: tuple[Stage, ...]
    mean_shape: MeanShape
    snap: bool = True
    start: str = "template"
    validation_mm: Mapping[str, float] = field(default_factory=dict)
    uncertainty: UncertaintyModel | None = None
    presence: Presence | None = None

    @property
    def distinct_stages(self) -> tuple[Stage, ...]:
        """The stages, each once."""
        return tuple(dict.fromkeys(self.stages))


def refine(refiner: Refiner, mesh: Mesh, estimates_mm: ArrayLike) -> Refined:
    """Return the refined landmarks; NaN for one without an estimate, or that no two crops show.

    Args:
        refiner: the stages.
        mesh: object frame.
        estimates_mm: (k, 3), NaN if unknown. Of absent landmarks, where they should be.

    Raises:
        GeometryError: if no estimate is known.
    """
    sides = refined_sides(refiner.landmarks)
    meshes = sides.meshes(mesh)
    points_mm, moves_mm = np.array(estimates_mm, dtype=np.float64), []
    for stage in (*(stage.early for stage in refiner.stages[:-1]), refiner.stages[-1]):
        centres_mm = refiner.mean_shape.repaired(points_mm)
        readings = read_crops(stage, sides, meshes, centres_mm)
        fused = [_fused(stage, readings, landmark) for landmark in range(len(centres_mm))]
        points_mm = np.array([each.point_mm if each else np.full(3, np.nan) for each in fused])
        moves_mm.append(np.linalg.norm(points_mm - centres_mm, axis=1))
    return _result(refiner, mesh, readings, fused, np.array(moves_mm).T)


def _result(
    refiner: Refiner,
    mesh: Mesh,
    readings: Readings,
    fused: Sequence[FusedRays | None],
    moves_mm: NDArray[np.float64],
) -> Refined:
    """Return the result of the last stage."""
    stage = refiner.stages[-1]
    width_mm = stage.crop_size.width_mm
    none = np.full(3, np.nan)
    unsnapped_mm = np.array([each.point_mm if each else none for each in fused])
    reach_mm = SNAP_REACH * width_mm
    snaps = [snap_along(f.point_mm, f.information, mesh, reach_mm) if f else (none, np.nan) for f in fused]
    logits = _mean_by(readings.landmark, readings.present, len(fused))
    return Refined(
        np.array([point for point, _ in snaps]) if refiner.snap else unsnapped_mm,
        np.array([each.covariance_mm2 if each else np.full((3, 3), np.nan) for each in fused]),
        np.array([distance_mm for _, distance_mm in snaps]),
        moves_mm,
        _mean_by(readings.landmark, readings.spread.mean(axis=1), len(fused)) * width_mm,
        np.array([np.sqrt((each.distances_mm**2).mean()) if each else np.nan for each in fused]),
        np.array([_network_spread_mm(stage, readings, landmark) for landmark in range(len(fused))]),
        unsnapped_mm,
        refiner.presence.probability(logits) if refiner.presence else np.ones(len(fused)),
        logits,
    )


def _fused(stage: Stage, readings: Readings, landmark: int, network: int | None = None) -> FusedRays | None:
    """Return the fused rays of a landmark, of all networks or of one; None if they determine no point."""
    chosen = np.flatnonzero(readings.landmark == landmark)
    variances = stage.variances_mm2[readings.shot[chosen], readings.channel[chosen]]
    rays = [part[chosen] if network is None else part[chosen, network, None] for part in readings.rays]
    try:
        together = Rays(*(part.reshape(-1, 3) for part in rays))
        return fuse_rays(together, np.repeat(variances, rays[0].shape[1])) if len(chosen) > 1 else None
    except GeometryError:
        return None


def _network_spread_mm(stage: Stage, readings: Readings, landmark: int) -> float:
    """Return the root mean square distance of the networks' own points from their mean; NaN for one network."""
    num_networks = readings.spread.shape[1]
    alone = [_fused(stage, readings, landmark, i) for i in range(num_networks)] if num_networks > 1 else [None]
    if None in alone:
        return float("nan")
    points_mm = np.array([each.point_mm for each in alone if each])
    return float(np.sqrt(((points_mm - points_mm.mean(axis=0)) ** 2).sum(axis=1).mean()))


def _mean_by(index: NDArray[np.intp], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the means (count,) of values (r,) with each index; NaN without any."""
    counts = np.bincount(index, minlength=count)
    return np.where(counts > 0, np.bincount(index, values, count) / np.maximum(counts, 1), np.nan)
