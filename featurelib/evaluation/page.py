"""report.html: the whole report as one file without fonts or requests; of a single pair, without scripts.

It can be mailed, printed and read in light and dark. Each plot has a description for screen readers. The tables of
several landmarks have a script that sorts them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from featurelib.datasets.splits import NEEDS
from featurelib.evaluation import methods, plots
from featurelib.evaluation.bootstrap import NUM_BOOT
from featurelib.evaluation.figures import COLOURS, inline, theme
from featurelib.evaluation.matrix import matrix
from featurelib.evaluation.metrics import BASELINES, ErrorTable
from featurelib.evaluation.worst import FEW as FEW_MARKS
from featurelib.evaluation.worst import WorstObject, shots
from featurelib.geometry import ROLE_COLOURS, LandmarkSet
from featurelib.runtime.pages import render

Json = Mapping[str, Any]

FEW = 20
"""Bootstrapped intervals of fewer objects are too narrow."""


def page(report: Json, landmarks: LandmarkSet, errors: Mapping[str, ErrorTable], worst: Sequence[WorstObject]) -> str:
    """Return report.html.

    Args:
        report: the content of report.json.
        landmarks: the set.
        errors: by projection, of all test objects.
        worst: with their images, in the order in which they are shown.
    """
    lifter = report["lifter"]
    frame_mm = report["frame_mm"]
    return render(
        "evaluation/report.html",
        report=report,
        methods=methods.ordered_methods(lifter),
        baselines=BASELINES,
        titles={"mean": "mean", "median": "median", "p95": "95th percentile"},
        fewest=min(map(methods.num_objects, lifter.values()), default=0),
        few=FEW,
        num_boot=NUM_BOOT,
        means_plot=_means_plot(lifter),
        **_curves(lifter, errors),
        matrices={
            name: matrix(errors[name], part["chosen"], landmarks.names)
            if name in errors and part["chosen"] in errors[name].by_method
            else None
            for name, part in lifter.items()
        },
        learning=_learning_plot(report.get("learning_curve")),
        calibration_plots=_calibration_plots(lifter),
        view_plots=_view_plots(report["detector"]),
        worst=[(each, [shots(each, image, frame_mm.get(each.projection)) for image in each.images]) for each in worst],
        colours=COLOURS,
        landmarks=landmarks,
        roles=dict(zip(landmarks.names, landmarks.roles, strict=True)),
        role_colours=ROLE_COLOURS,
        few_marks=FEW_MARKS,
        needed=NEEDS["val"],
        theme=theme,
        meaning=methods.meaning,
        num_objects=methods.num_objects,
        number=number,
        interval=interval,
    )


def number(value: float, unit: str = "", sign: str = "") -> str:
    """Return a value as text with its unit; with the sign "+" a positive one has its sign, too."""
    return f"{value:{sign}.{2 if abs(value) < 100 else 1}f}{unit}"


def interval(ends: Sequence[float], sign: str = "") -> str:
    """Return an interval as text."""
    return " to ".join(number(end, sign=sign) for end in ends)


def _means_plot(lifter: Json) -> Markup:
    rows = [_row(lifter, method) for method in methods.ordered_methods(lifter)]
    estimates = [each for row in rows for each in row.estimates if each.value is not None]
    limits = plots.error_limits([np.array([each.value, *(each.ends or ())]) for each in estimates])
    return inline(plots.dots_plot(rows, limits, "mean error, mm (logarithmic)"), "means", "Mean error of each method")


def _row(lifter: Json, method: str) -> plots.Row:
    estimates = []
    for projection, part in lifter.items():
        scores = part["test"].get(method)
        value, ends = (scores["error_mm"]["mean"], scores["interval_mm"]["mean"]) if scores else (None, None)
        estimates.append(plots.Estimate(projection, value, ends))
    return plots.Row(method, tuple(estimates), any(part["chosen"] == method for part in lifter.values()))


def _curves(lifter: Json, tables: Mapping[str, ErrorTable]) -> dict[str, object]:
    """Return the plots of cumulative errors by projection, all with the same x axis, and the lines by method."""
    lifter = {name: part for name, part in lifter.items() if name in tables}
    curves = {name: {m: tables[name].labelled(m) for m in tables[name].by_method} for name in lifter}
    drawn = methods.drawn_methods(lifter)
    lines = methods.lines(drawn, {part["chosen"] for part in lifter.values()})
    limits = plots.error_limits(curves[name][method] for name in lifter for method in drawn if method in curves[name])
    panels = {}
    for i, (projection, part) in enumerate(lifter.items()):
        errors = curves[projection]
        on_top = sorted((method for method in drawn if method in errors), key=lambda method: method == part["chosen"])
        plot = plots.curves_plot([plots.Curve(m, errors[m], lines[m]) for m in on_top], limits)
        panels[projection] = inline(plot, f"curves-{i}", f"Cumulative error, {projection}")
    return {"curve_plots": panels if drawn else {}, "lines": lines}


def _learning_plot(curve: Json | None) -> Markup | None:
    """Return the plot of a learning curve with more than one point."""
    if curve is None or len(curve["points"]) < 2:
        return None
    points = [(p["labelled"], p["median_mm"], p["low_mm"], p["high_mm"]) for p in curve["points"]]
    last = max(labelled for labelled, *_ in points)
    promised = [(last + promise["more"], promise["median_mm"]) for promise in curve["promises"]]
    return inline(plots.learning_plot(points, promised), "learning", "Median error over the number of labelled objects")


def _calibration_plots(lifter: Json) -> dict[str, Markup]:
    return {
        name: inline(
            plots.calibration_plot(part["uncertainty"]["calibration"]),
            f"calibration-{i}",
            f"Expected and observed share of landmarks, {name}",
        )
        for i, (name, part) in enumerate(lifter.items())
    }


def _view_plots(detector: Json) -> dict[str, Markup]:
    """Return the plots of the error by view, by projection, all with the same y axis."""
    bars = {name: _bars(part) for name, part in detector.items()}
    known = [bar for part in bars.values() for bar in part if bar.value is not None]
    top = 1.15 * max((max(bar.value or 0.0, *(bar.ends or [0.0])) for bar in known), default=1.0) or 1.0
    titles = "azimuth of the view", "mean error, % of the image width"
    return {
        name: inline(plots.bars_plot(part, top, *titles), f"views-{i}", f"Error by view, {name}")
        for i, (name, part) in enumerate(bars.items())
    }


def _bars(part: Json) -> list[plots.Estimate]:
    views, ends = part["rig"]["views"], part["test"]["interval_by_view"]
    return [
        plots.Estimate(_view_label(views[int(key)]), value, ends[key]) for key, value in part["test"]["by_view"].items()
    ]


def _view_label(view: Json) -> str:
    elevation = f"/{view['elevation_deg']:g}°" if view["elevation_deg"] else ""
    return f"{view['azimuth_deg']:.4g}°{elevation}"
