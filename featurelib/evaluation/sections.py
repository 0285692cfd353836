"""The parts of the page that show numbers: methods, cumulative error, claims, the detector."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.evaluation import plots, tables
from featurelib.evaluation.bootstrap import NUM_BOOT
from featurelib.evaluation.markup import Markup, join, tag
from featurelib.evaluation.metrics import BASELINES

Errors = Mapping[str, NDArray[np.floating]]
Json = Mapping[str, Any]

DRAWN = ("refined", "mlp", "triangulation")
"""Methods that have a curve beside the chosen ones, the best of all others and both baselines; nine curves at most."""

NUM_COLOURS = 6

FEW = 20
"""Fewer objects than this make bootstrapped intervals too narrow."""

ABOUT_INTERVALS = (
    "Small figures are 95 % intervals for all objects like these, of which these are a sample. They come from drawing "
    f"whole objects again, {NUM_BOOT:,} times at most (the bootstrap), since both landmarks of an object tend to be "
    "wrong together."
)


def errors_section(report: Json) -> Markup:
    """Return every method's errors as a table, and their means beside each other."""
    lifter = report["lifter"]
    rows = [_row(lifter, method) for method in tables.ordered_methods(lifter)]
    means = [np.array([each.value]) for row in rows for each in row.estimates if each.value is not None]
    ends = [np.array(each.ends) for row in rows for each in row.estimates if each.ends is not None]
    limits = plots.error_limits([*means, *ends])
    plot = plots.dots_plot("beside", "Mean error of every method", rows, limits, "mean error, mm (logarithmic)")
    fewest = min(map(tables.num_objects, lifter.values()), default=0)
    keys = (legend_key(swatch(plots.mark(k, 14, 7)), name) for k, name in enumerate(lifter))
    return section(
        "Every method, in millimetres",
        tables.methods_table(lifter),
        tag(
            "p",
            f"{ABOUT_INTERVALS} Worse than chosen: the interval of the difference of the means on the same objects; "
            "one that holds zero leaves open which method is better.",
            f" With fewer than {FEW} objects, as here, intervals are too narrow." if fewest < FEW else None,
            class_="note",
        ),
        tag("h3", "Orthographic beside perspective" if len(lifter) > 1 else "Means beside each other"),
        tag("ul", *keys, class_="legend") if len(lifter) > 1 else None,
        figure(plot, "Mean error and its 95 % interval, the chosen method in bold.", class_="wide"),
    )


def _row(lifter: Json, method: str) -> plots.Row:
    estimates = []
    for projection, part in lifter.items():
        scores = part["test"].get(method, {})
        ends = (scores.get("interval_mm") or {}).get("mean")
        estimates.append(plots.Estimate(projection, scores.get("error_mm", {}).get("mean"), ends))
    is_chosen = any(part["chosen"] == method for part in lifter.values())
    return plots.Row(method, tuple(estimates), is_chosen)


def curves_section(report: Json, curves: Mapping[str, Errors]) -> Markup | None:
    """Return the cumulative errors, a plot a projection, or nothing where no errors are given."""
    lifter = {name: part for name, part in report["lifter"].items() if name in curves}
    methods = drawn_methods(lifter)
    if not lifter or not methods:
        return None
    colours = {method: f"c{i % NUM_COLOURS + 1}" for i, method in enumerate(m for m in methods if m not in BASELINES)}
    styles = {method: colours.get(method, f"baseline {method.replace('_', '-')}") for method in methods}
    limits = plots.error_limits(curves[name][method] for name in lifter for method in methods if method in curves[name])
    panels = (
        panel(
            projection,
            plots.curves_plot(
                f"curves-{i}",
                f"Cumulative error, {projection}",
                _drawn_curves(curves[projection], styles, part["chosen"]),
                limits,
            ),
        )
        for i, (projection, part) in enumerate(lifter.items())
    )
    all_chosen = {part["chosen"] for part in lifter.values()}
    keys = (legend_key(swatch(_sample(styles[m], m in all_chosen)), _named(m, all_chosen)) for m in methods)
    others = len(tables.ordered_methods(lifter)) - len(methods)
    return section(
        "Cumulative error",
        tag("ul", *keys, class_="legend"),
        figure(
            tag("div", *panels, class_="panels"),
            "Share of all landmarks, left and right, that are closer than an error: the further left and up a curve, "
            "the better. The thick curve is the chosen method, dashed ones are baselines.",
            f" The {others} other methods stand in the table." if others else None,
        ),
    )


def drawn_methods(lifter: Json) -> list[str]:
    """Return the methods that have a curve: the chosen, those of DRAWN, the best of the others, the baselines."""
    ordered = tables.ordered_methods(lifter)
    chosen = [part["chosen"] for part in lifter.values()]
    others = [method for method in ordered if method not in (*chosen, *DRAWN, *BASELINES)]
    wanted = {*chosen, *DRAWN, *others[:1], *BASELINES}
    return [method for method in ordered if method in wanted]


def _drawn_curves(errors: Errors, styles: Mapping[str, str], chosen: str) -> list[plots.Curve]:
    """Return the curves of one projection, the chosen method's last, so that it lies on top."""
    methods = sorted((method for method in styles if method in errors), key=lambda method: method == chosen)
    return [plots.Curve(m, errors[m], f"{styles[m]} chosen" if m == chosen else styles[m]) for m in methods]


def uncertainty_section(report: Json) -> Markup | None:
    """Return what answers claimed of their errors beside what is true; nothing where the report has none of it."""
    parts = {name: part["uncertainty"] for name, part in report["lifter"].items() if part.get("uncertainty")}
    if not parts:
        return None
    panels = [_uncertainty(i, projection, uncertainty) for i, (projection, uncertainty) in enumerate(parts.items())]
    return section(
        "Claimed against real",
        tag(
            "p",
            "Every answer claims how far off it may be. On the diagonal, claims hold as often as they say; above it "
            "more often, below it less often: there the method is too sure of itself.",
        ),
        tag("div", *panels, class_="panels"),
    )


def _uncertainty(i: int, projection: str, uncertainty: Json) -> Markup:
    points = [(c, r) for c, r in uncertainty.get("calibration") or () if c is not None and r is not None]
    coverage = [
        f"{level} % bounds hold for {100 * share:.0f} %"
        for level in (68, 95)
        for share in [uncertainty.get(f"coverage_{level}")]
        if share is not None
    ]
    title = f"Claimed against real, {projection}"
    said = f"{uncertainty.get('method') or 'chosen method'}: {', '.join(coverage) or 'coverage unknown'}."
    plot = plots.calibration_plot(f"claims-{i}", title, points) if points else None
    return tag(
        "div",
        tag("h3", projection),
        figure(plot, said, class_="square") if plot else tag("p", said),
        _answers(uncertainty),
        class_="panel",
    )


def _answers(uncertainty: Json) -> Markup | None:
    """Return how many answers were accepted and which were not, and why."""
    groups = {name: uncertainty.get(name) for name in ("accepted", "rejected")}
    rows = [
        (name, None if part.get("n") is None else str(part["n"]), tables.number(part.get("median_mm")))
        for name, part in groups.items()
        if part
    ]
    reasons = (groups["rejected"] or {}).get("reasons") or {}
    return join(
        tables.plain_table("Answers", ("", "objects", "median error, mm"), rows, "figures") if rows else None,
        tables.plain_table("Handed back as doubtful", ("object", "reason"), list(reasons.items()), "texts")
        if reasons
        else None,
    )


def detector_section(report: Json) -> Markup:
    """Return the detector's errors as a table, and by view."""
    detector = report["detector"]
    highest = [
        max(value, *(ends or [value]))
        for part in detector.values()
        for bar in _bars(part)
        for value, ends in [(bar.value, bar.ends)]
        if value is not None
    ]
    top = 1.15 * max(highest, default=1.0) or 1.0
    panels = (
        panel(
            projection,
            plots.bars_plot(
                f"views-{i}",
                f"Error by view, {projection}",
                _bars(part),
                top,
                "azimuth of the view" if part.get("rig") else "view",
                "mean error, % of the image's width",
            ),
        )
        for i, (projection, part) in enumerate(detector.items())
    )
    return section(
        "The detector, in its image",
        tables.detector_table(detector),
        tag("h3", "Error by view"),
        figure(
            tag("div", *panels, class_="panels"),
            "Mean error of each view with its 95 % interval. Azimuth 0° is the front, +90° looks at the object's left.",
        ),
    )


def _bars(part: Json) -> list[plots.Estimate]:
    views = (part.get("rig") or {}).get("views")
    test = part["test"]
    labels = {key: _view_label(views[int(key)]) if views else key for key in test["by_view"]}
    ends = test.get("interval_by_view") or {}
    return [plots.Estimate(labels[key], value, ends.get(key)) for key, value in test["by_view"].items()]


def _view_label(view: Json) -> str:
    elevation = f"/{view['elevation_deg']:g}°" if view["elevation_deg"] else ""
    return f"{view['azimuth_deg']:.4g}°{elevation}"


def section(title: str, *content: str | None) -> Markup:
    """Return a part of the page below its heading."""
    return tag("section", tag("h2", title), *content)


def figure(drawn: Markup, *caption: str | None, class_: str | None = None) -> Markup:
    """Return what is drawn above its caption."""
    return tag("figure", drawn, tag("figcaption", *caption), class_=class_)


def panel(title: str, plot: Markup) -> Markup:
    """Return one of several plots that stand beside each other."""
    return tag("div", tag("h3", title), plot, class_="panel")


def legend_key(sample: Markup, label: str) -> Markup:
    """Return an entry of a legend."""
    return tag("li", sample, label)


def swatch(drawn: Markup) -> Markup:
    """Return a legend's sample of a line or mark."""
    return tag("svg", drawn, viewBox="0 0 28 14", class_="key", aria_hidden="true")


def _sample(style: str, is_chosen: bool) -> Markup:
    return tag("path", d="M0 7H28", class_=f"curve {style}{' chosen' if is_chosen else ''}")


def _named(method: str, chosen: Iterable[str]) -> str:
    roles = [role for role, methods in (("chosen", chosen), ("baseline", BASELINES)) if method in methods]
    return f"{method} ({', '.join(roles)})" if roles else method
