"""The tables of the page: every method's errors, the detector's, which answers were rejected as doubtful."""

from collections.abc import Mapping, Sequence
from typing import Any

from featurelib.evaluation.markup import Markup, join, tag
from featurelib.evaluation.metrics import BASELINES, STATISTICS

Json = Mapping[str, Any]

MEANINGS = {
    "refined": "looked at again from near",
    "mlp": "network, from the positions in all views",
    "triangulation": "rays of each side's own views",
    "least_squares": "rays, all alike",
    "weighted": "rays, by the views' validation error",
    "consensus": "the rays that most views agree with",
    "robust": "rays; a view far off loses its say",
    "surface": "median of where the rays meet the mesh",
    "snapped": "robust, then onto the mesh",
    "deep_mvlm": "a published recipe, for comparison",
    "mean_point": "mean landmark of the training objects",
    "template": "registered mean shape",
}
"""What a method does, in some words; with `_all` it sees all views, else an instance's own side and the front."""

TITLES = {"mean": "mean", "median": "median", "p95": "95th percentile"}

DETECTOR_ROWS = {"all views": "", "without views that see both sides alike": "_without_front"}
"""Rows of the detector's table, and the ending of their keys."""


def ordered_methods(lifter: Json) -> list[str]:
    """Return the methods of all projections, the smallest mean error of the first projection first."""
    names = dict.fromkeys(method for part in lifter.values() for method in part["test"])
    return sorted(names, key=lambda method: _rank(lifter, method))


def meaning(method: str) -> str:
    """Return what a method does, in some words; empty if it is none that is known here."""
    name = method.removesuffix("_all")
    said = MEANINGS.get(name, "")
    return f"{said}; all views" if said and name != method else said


def num_objects(part: Json) -> int:
    """Return how many objects the method with the most answers has an answer for."""
    return max((scores["n"] for scores in part["test"].values()), default=0)


def methods_table(lifter: Json) -> Markup:
    """Return every method's errors, the projections beside each other."""
    columns = [f"{TITLES[name]}, mm" for name in STATISTICS] + ["worse than chosen by, mm"]
    groups = (
        tag("th", f"{name}, {num_objects(part)} objects", colspan=len(columns), scope="colgroup")
        for name, part in lifter.items()
    )
    heads = (tag("th", column, scope="col") for _ in lifter for column in columns)
    return scrolling(
        tag(
            "table",
            tag("caption", "Distance to the true landmark, both landmarks of every test object"),
            tag(
                "thead",
                tag("tr", tag("th", "method", rowspan=2, scope="col", class_="name"), *groups),
                tag("tr", *heads),
            ),
            tag("tbody", *(_method_row(lifter, method) for method in ordered_methods(lifter))),
        )
    )


def detector_table(detector: Json) -> Markup:
    """Return the detector's errors, the projections beside each other."""
    columns = [f"{TITLES[name]}, %" for name in STATISTICS]
    groups = (tag("th", name, colspan=len(columns), scope="colgroup") for name in detector)
    rows = (
        tag("tr", tag("th", title, scope="row", class_="name"), *_detector_cells(detector, ending))
        for title, ending in DETECTOR_ROWS.items()
    )
    return scrolling(
        tag(
            "table",
            tag("caption", "Distance of the near landmark to its true position, in % of the image's width"),
            tag(
                "thead",
                tag("tr", tag("th", "views", rowspan=2, scope="col", class_="name"), *groups),
                tag("tr", *(tag("th", column, scope="col") for _ in detector for column in columns)),
            ),
            tag("tbody", *rows),
        )
    )


def plain_table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str | None]], class_: str) -> Markup:
    """Return a table of text whose first column names the rows; None is an empty cell's dash."""
    head = (tag("th", column, scope="col", class_=None if i else "name") for i, column in enumerate(columns))
    body = (
        tag("tr", tag("th", first, scope="row", class_="name"), *(tag("td", "-" if c is None else c) for c in cells))
        for first, *cells in rows
    )
    table = tag("table", tag("caption", caption), tag("thead", tag("tr", *head)), tag("tbody", *body), class_=class_)
    return scrolling(table)


def scrolling(table: Markup) -> Markup:
    """Return a table that is scrolled by itself where the screen is too narrow for it."""
    return tag("div", table, class_="scroll", tabindex="0")


def number(value: float | None, unit: str = "", sign: str = "") -> str | None:
    """Return a value as text with its unit, and with `sign` "+" also if it is positive; None where it is not known."""
    return None if value is None else f"{value:{sign}.{2 if abs(value) < 100 else 1}f}{unit}"


def to(ends: Sequence[float] | None, sign: str = "") -> str | None:
    """Return an interval as text; None where it is not known."""
    return None if ends is None else " to ".join(str(number(end, sign=sign)) for end in ends)


def _method_row(lifter: Json, method: str) -> Markup:
    chosen = [name for name, part in lifter.items() if part["chosen"] == method]
    where = "" if len(chosen) == len(lifter) else f", {chosen[0]}" if chosen else ""
    name = tag(
        "th",
        tag("span", method, class_="method"),
        tag("span", f"chosen{where}", class_="badge") if chosen else None,
        tag("span", "baseline", class_="badge plain") if method in BASELINES else None,
        tag("span", meaning(method), class_="muted"),
        scope="row",
        class_="name",
    )
    cells = (_method_cells(part, method) for part in lifter.values())
    return tag("tr", name, *cells, class_="chosen" if chosen else "baseline" if method in BASELINES else None)


def _method_cells(part: Json, method: str) -> Markup:
    if method not in part["test"]:
        return tag("td", "not tried", colspan=len(STATISTICS) + 1, class_="muted")
    scores = part["test"][method]
    values, ends = scores["error_mm"], scores.get("interval_mm") or {}
    worse = (scores.get("worse_by_mm") or {}).get("mean")
    missing = num_objects(part) - scores["n"]
    note = f"{missing} without an answer" if missing and scores["n"] else None
    return join(
        *(_cell(values[name], ends.get(name), note if name == "mean" else None) for name in STATISTICS),
        tag("td", "" if method == part["chosen"] else to(worse, "+") or "-", class_="ends"),
    )


def _detector_cells(detector: Json, ending: str) -> list[Markup]:
    return [
        _cell(part["test"][f"error_pct_width{ending}"][name], ends.get(name))
        for part in detector.values()
        for ends in [part["test"].get(f"interval_pct_width{ending}") or {}]
        for name in STATISTICS
    ]


def _cell(value: float | None, ends: Sequence[float] | None, note: str | None = None) -> Markup:
    """Return a number above its interval."""
    if value is None:
        return tag("td", tag("span", "no answer", class_="muted"))
    below = (tag("span", said, class_="ends") for said in (to(ends), note) if said)
    return tag("td", number(value), *below)


def _rank(lifter: Json, method: str) -> tuple[bool, float]:
    means = (part["test"].get(method, {}).get("error_mm", {}).get("mean") for part in lifter.values())
    known = next((mean for mean in means if mean is not None), None)
    return known is None, known or 0.0
