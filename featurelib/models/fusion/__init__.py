"""Fusion: combine the detections of landmarks in several views into one point in space for each.

Each method takes `Detections` and returns `FusedPoints`, so methods can be compared on the same views. The mask
`Detections.usable` selects the views (`own_side` makes the usual masks).
"""

from collections.abc import Callable, Mapping

import numpy as np

from featurelib.errors import UsageError
from featurelib.models.fusion.consensus import consensus, robust
from featurelib.models.fusion.deep_mvlm import deep_mvlm
from featurelib.models.fusion.detections import Detections, FusedPoints, Surface, from_cameras, own_side, rays_through
from featurelib.models.fusion.hits import first_hits
from featurelib.models.fusion.least_squares import least_squares, weighted
from featurelib.models.fusion.lines import determine_a_point
from featurelib.models.fusion.noise import ViewNoise, measure_noise
from featurelib.models.fusion.snapping import snapped, surface_median

METHODS: Mapping[str, Callable[[Detections], FusedPoints]] = {
    "least_squares": least_squares,
    "weighted": weighted,
    "consensus": consensus,
    "robust": robust,
    "surface": surface_median,
    "snapped": snapped,
    "deep_mvlm": deep_mvlm,
}
"""least_squares: equal weights. weighted: weight 1 / validation variance of the view. consensus: the point of two views
that agrees with most views, refined. robust: `weighted`, with less weight for distant rays. surface: the median of the
rays' intersections with the mesh. snapped: `robust`, moved to the mesh if the rays allow it. deep_mvlm: a published
method, for comparison."""

NEEDS_SURFACE = frozenset({"surface", "snapped", "deep_mvlm"})
"""Methods that need `Detections.surface`."""


def fuse(detections: Detections, method: str = "robust") -> FusedPoints:
    """Return the detections fused by one of METHODS.

    A landmark is NaN if it has fewer than two usable views, or its rays are parallel. `surface` needs one view, whose
    ray hits the surface.

    Raises:
        UsageError: if the method is unknown, or needs a surface and there is none.
    """
    if method not in METHODS:
        raise UsageError(f"fusion {method!r}: expected one of {', '.join(METHODS)}")
    if method in NEEDS_SURFACE and detections.surface is None:
        raise UsageError(f"fusion {method}: needs the object's mesh; use robust where there is none")
    usable = detections.usable
    is_hit_enough = method == "surface"
    answered = np.asarray(usable.any(axis=-1)) if is_hit_enough else determine_a_point(detections.rays, usable)
    return METHODS[method](detections.of(answered)).among(answered)


__all__ = [
    "METHODS",
    "NEEDS_SURFACE",
    "Detections",
    "FusedPoints",
    "Surface",
    "ViewNoise",
    "first_hits",
    "from_cameras",
    "fuse",
    "measure_noise",
    "own_side",
    "rays_through",
]
