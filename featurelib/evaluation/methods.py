"""The methods on the page: their order, what they do, and which of them have a curve."""

from collections.abc import Mapping
from typing import Any

from featurelib.evaluation.figures import MUTED, SERIES
from featurelib.evaluation.metrics import BASELINES
from featurelib.evaluation.plots import Line

Json = Mapping[str, Any]

CHOSEN_BY_FOLD = "chosen by fold"
"""The method of a report of folds that chose different ones."""

MEANINGS = {
    "refined": "first estimate, corrected on crops",
    "mlp": "network on the positions in all views",
    "triangulation": "rays of the views that face the side",
    "least_squares": "rays, unweighted",
    "weighted": "rays, weighted by the views' validation error",
    "consensus": "the largest set of rays that agree",
    "robust": "rays, with low weights for outliers",
    "surface": "median of the points where rays meet the mesh",
    "snapped": "robust, then snapped to the mesh",
    "deep_mvlm": "published method, for comparison",
    "mean_point": "mean landmark of the training objects",
    "template": "registered mean shape",
    CHOSEN_BY_FOLD: "the method that each fold chose on its validation objects",
}
"""What a method does. A method with the ending `_all` uses all views, others those of an instance's side and the
front."""

WITH_CURVE = ("refined", "mlp", "triangulation")
"""Methods that have a curve besides the chosen ones, the best of all others and both baselines: at most nine."""


def ordered_methods(lifter: Json) -> list[str]:
    """Return the methods of all projections in ascending order of the first projection's mean error."""
    names = dict.fromkeys(method for part in lifter.values() for method in part["test"])
    return sorted(names, key=lambda method: _rank(lifter, method))


def _rank(lifter: Json, method: str) -> tuple[bool, float]:
    means = (part["test"].get(method, {}).get("error_mm", {}).get("mean") for part in lifter.values())
    known = next((mean for mean in means if mean is not None), None)
    return known is None, known or 0.0


def meaning(method: str) -> str:
    """Return what a method does, or an empty text if it is unknown."""
    name = method.removesuffix("_all")
    text = MEANINGS.get(name, "")
    return f"{text}; all views" if text and name != method else text


def num_objects(part: Json) -> int:
    """Return the number of objects for which the method with the most answers has one."""
    return max((scores["n"] for scores in part["test"].values()), default=0)


def drawn_methods(lifter: Json) -> list[str]:
    """Return the methods with a curve: the chosen ones, those of WITH_CURVE, the best of the others, the baselines."""
    ordered = ordered_methods(lifter)
    chosen = [part["chosen"] for part in lifter.values()]
    others = [method for method in ordered if method not in (*chosen, *WITH_CURVE, *BASELINES)]
    drawn = {*chosen, *WITH_CURVE, *others[:1], *BASELINES}
    return [method for method in ordered if method in drawn]


def lines(methods: list[str], chosen: set[str]) -> dict[str, Line]:
    """Return the line of each method's curve: thick for the chosen ones, grey and dashed for baselines."""
    coloured = [method for method in methods if method not in BASELINES]
    baselines = {"mean_point": Line(MUTED, 2, (2, 3)), "template": Line(MUTED, 2, (7, 4))}
    own = {m: Line(SERIES[i % len(SERIES)], 3.6 if m in chosen else 1.7) for i, m in enumerate(coloured)}
    return {method: own.get(method) or baselines[method] for method in methods}
