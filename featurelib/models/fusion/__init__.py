"""Fusion: what a detector saw of one landmark in several views, combined into one point in space.

Every method takes `Detections` and returns `FusedPoint`, so that they can be compared on the same views and exchanged.
Which views a method sees is said by the mask `Detections.usable` (`own_side` makes the usual ones), not by its name.
"""

from collections.abc import Callable, Mapping

from featurelib.errors import UsageError
from featurelib.models.fusion.consensus import consensus, robust
from featurelib.models.fusion.deep_mvlm import deep_mvlm
from featurelib.models.fusion.detections import Detections, FusedPoint, Surface, from_cameras, own_side
from featurelib.models.fusion.hits import first_hits
from featurelib.models.fusion.least_squares import least_squares, weighted
from featurelib.models.fusion.noise import ViewNoise, measure_noise
from featurelib.models.fusion.snapping import snapped, surface_median

METHODS: Mapping[str, Callable[[Detections], FusedPoint]] = {
    "least_squares": least_squares,
    "weighted": weighted,
    "consensus": consensus,
    "robust": robust,
    "surface": surface_median,
    "snapped": snapped,
    "deep_mvlm": deep_mvlm,
}
"""least_squares: all views alike. weighted: 1 / validation variance of the view.
consensus: the point of two views that most views agree with, refined. robust: `weighted`, but a view far off loses
its say. surface: the median of where the rays meet the mesh. snapped: `robust`, then onto the mesh where the rays
allow it. deep_mvlm: a published recipe, for comparison."""

NEEDS_SURFACE = frozenset({"surface", "snapped", "deep_mvlm"})
"""Methods that ask for `Detections.surface`."""


def fuse(detections: Detections, method: str = "robust") -> FusedPoint:
    """Return what one of METHODS makes of the detections.

    Raises:
        UsageError: if the method is unknown, or needs what the detections lack.
        GeometryError: if the usable views fix no point: fewer than two, or parallel.
    """
    if method not in METHODS:
        raise UsageError(f"fusion {method!r}: expected one of {', '.join(METHODS)}")
    return METHODS[method](detections)


__all__ = [
    "METHODS",
    "NEEDS_SURFACE",
    "Detections",
    "FusedPoint",
    "Surface",
    "ViewNoise",
    "first_hits",
    "from_cameras",
    "fuse",
    "measure_noise",
    "own_side",
]
