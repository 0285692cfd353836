"""The plots of the page: cumulative error, error by view, methods beside each other, claimed against real."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurelib.evaluation.axes import (
    Scale,
    horizontal,
    image,
    line,
    path,
    per_cent,
    round_down,
    round_up,
    text,
    vertical,
)
from featurelib.evaluation.markup import Markup, join, short, tag

WIDTH, HEIGHT = 520.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 34.0, 46.0
SQUARE = 380.0
"""Width of a plot whose two axes mean the same, with its margins."""

ROW, LABELS = 24.0, 190.0
"""Height of a row of `dots_plot`, and the width of the rows' names."""

MAX_STEPS = 500
"""Steps of a curve that are drawn: more are finer than a pixel, and 100,000 objects would be megabytes."""

MAX_LABELLED = 12
"""Bars that have their value written above them."""

FALLBACK_MM = (0.1, 1.0)
"""The axis where there is no error to show."""

Ends = Sequence[float] | None
"""Lower and upper end of an interval, if it is known."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One method's errors (n, 2) in mm, its name and its CSS classes."""

    label: str
    errors_mm: NDArray[np.floating]
    style: str


@dataclass(frozen=True)
class Estimate:
    """One number with its interval, and the name below or beside it; None where there is no answer."""

    label: str
    value: float | None
    ends: Ends = None


@dataclass(frozen=True)
class Row:
    """One method of `dots_plot`: a number with its interval for each series."""

    label: str
    estimates: tuple[Estimate, ...]
    is_emphasised: bool = False


def cumulative(errors: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return errors in ascending order and the share of landmarks that are at most that far off.

    A landmark without an answer (NaN) is never below any error, so that its curve ends below 1.
    """
    known = np.sort(errors[np.isfinite(errors)].astype(np.float64))
    return known, np.arange(1, known.size + 1) / max(errors.size, 1)


def error_limits(errors: Iterable[NDArray[np.floating]]) -> tuple[float, float]:
    """Return the ends of a logarithmic axis for errors of several methods.

    It starts below the second percentile of the best method: a single lucky landmark would stretch it by decades.
    """
    known = [each[np.isfinite(each) & (each > 0)] for each in errors]
    known = [each for each in known if each.size]
    if not known:
        return FALLBACK_MM
    low = round_down(min(float(np.percentile(each, 2)) for each in known))
    high = round_up(max(float(each.max()) for each in known))
    return low, high if high > 1.5 * low else 10 * low


def curves_plot(name: str, title: str, curves: Sequence[Curve], limits_mm: tuple[float, float]) -> Markup:
    """Return the share of landmarks below an error, one step curve a method, on a logarithmic axis.

    Args:
        name: unique on the page.
        title: what it is, for screen readers.
        curves: the last is drawn on top.
        limits_mm: ends of the axis, the same for plots that stand beside each other.
    """
    x = Scale(*limits_mm, LEFT, WIDTH - RIGHT, is_log=True)
    y = Scale(0, 1, HEIGHT - BOTTOM, TOP)
    medians = [f"{curve.label} {_median_text(curve.errors_mm)}" for curve in curves]
    return image(
        name,
        (WIDTH, HEIGHT),
        title,
        f"Median error: {'; '.join(medians)}.",
        horizontal(x, y.start, "error, mm (logarithmic)", grid_to=y.end),
        vertical(y, x.start, "share of landmarks that are closer", per_cent, grid_to=x.end),
        *(_steps(curve, x, y) for curve in curves),
    )


def bars_plot(name: str, title: str, bars: Sequence[Estimate], top: float, x_title: str, y_title: str) -> Markup:
    """Return one bar a number, with its interval as a whisker; `top` is the axis' end."""
    y = Scale(0, top, HEIGHT - BOTTOM, TOP)
    step = (WIDTH - RIGHT - LEFT) / max(len(bars), 1)
    every = -(-len(bars) // MAX_LABELLED)
    centres = [LEFT + (i + 0.5) * step for i in range(len(bars))]
    labels = zip(centres[::every], bars[::every], strict=True)
    spoken = (f"{bar.label} {_number(bar.value)}" for bar in bars)
    return image(
        name,
        (WIDTH, HEIGHT),
        title,
        f"{y_title}: {'; '.join(spoken)}.",
        vertical(y, LEFT, y_title, grid_to=WIDTH - RIGHT),
        *(_bar(bar, at, step, y, is_labelled=every == 1) for bar, at in zip(bars, centres, strict=True)),
        line(LEFT, y.start, WIDTH - RIGHT, y.start, "axis"),
        *(text(bar.label, at, y.start + 19, "tick", "middle") for at, bar in labels),
        text(x_title, (LEFT + WIDTH - RIGHT) / 2, y.start + 40, "axis-title", "middle"),
    )


def dots_plot(name: str, title: str, rows: Sequence[Row], limits: tuple[float, float], x_title: str) -> Markup:
    """Return one line a row: for each series a mark (circle, diamond) and its interval, on a logarithmic axis."""
    width = 2 * WIDTH
    x = Scale(*limits, LABELS, width - 2 * RIGHT, is_log=True)
    bottom = TOP / 2 + ROW * len(rows)
    spoken = (f"{row.label} {', '.join(_spoken(each) for each in row.estimates)}" for row in rows)
    return image(
        name,
        (width, bottom + BOTTOM),
        title,
        f"{x_title}: {'; '.join(spoken)}.",
        horizontal(x, bottom, x_title, grid_to=TOP / 2 - 6),
        *(_dots(row, TOP / 2 + ROW * (i + 0.5), x) for i, row in enumerate(rows)),
    )


def calibration_plot(name: str, title: str, points: Sequence[tuple[float, float]]) -> Markup:
    """Return the real share of landmarks within a claimed bound over the claimed one, beside the diagonal."""
    x = Scale(0, 1, LEFT, SQUARE - RIGHT)
    y = Scale(0, 1, SQUARE - BOTTOM, TOP)
    at = [(x(claimed), y(real)) for claimed, real in points]
    spoken = (f"claimed {per_cent(round(c, 3))}, real {per_cent(round(r, 3))}" for c, r in points)
    return image(
        name,
        (SQUARE, SQUARE),
        title,
        f"{'; '.join(spoken)}.",
        horizontal(x, y.start, "claimed share of landmarks", per_cent, grid_to=y.end),
        vertical(y, x.start, "real share", per_cent, grid_to=x.end),
        line(x(0), y(0), x(1), y(1), "diagonal"),
        tag("path", d=path(at), class_="curve c1") if len(at) > 1 else None,
        *(tag("circle", cx=float(px), cy=float(py), r=4, class_="dot c1") for px, py in at),
    )


def _steps(curve: Curve, x: Scale, y: Scale) -> Markup | None:
    """Return a curve from the axis' start to its end: along at each share, and up at each error."""
    errors, shares = cumulative(curve.errors_mm)
    if not errors.size:
        return None
    keep = np.unique(np.linspace(0, errors.size - 1, min(errors.size, MAX_STEPS)).round().astype(int))
    steps = (f"H{short(x(float(errors[i])))}V{short(y(float(shares[i])))}" for i in keep)
    d = f"M{short(x.start)} {short(y(0))}{''.join(steps)}H{short(x.end)}"
    return tag("path", tag("title", curve.label), d=d, class_=f"curve {curve.style}")


def _bar(bar: Estimate, at: float, step: float, y: Scale, *, is_labelled: bool) -> Markup | None:
    if bar.value is None:
        return text("-", at, y.start - 6, "tick", "middle")
    value, upper = y(bar.value), y(max(bar.ends[1], bar.value) if bar.ends else bar.value)
    return join(
        tag("rect", x=at - 0.35 * step, y=value, width=0.7 * step, height=y.start - value, class_="bar c1"),
        line(at, y(bar.ends[0]), at, upper, "whisker") if bar.ends else None,
        text(_number(bar.value), at, upper - 6, "value", "middle") if is_labelled else None,
    )


def _dots(row: Row, at: float, x: Scale) -> Markup:
    """Return a row's name and marks; two series stand a little above and below its middle, so that neither hides."""
    spread = 5.0 if len(row.estimates) > 1 else 0.0
    marks = []
    for k, each in enumerate(row.estimates):
        height = at + spread * (2 * k - len(row.estimates) + 1)
        if each.value is not None:
            low, high = each.ends or (each.value, each.value)
            marks += [
                line(x(low), height, x(high), height, f"interval c{k + 1}"),
                mark(k, x(each.value), height),
            ]
    name = text(row.label, LABELS - 12, at + 4, "row-name chosen" if row.is_emphasised else "row-name", "end")
    return join(line(LABELS, at, x.end, at, "grid"), name, *marks)


def mark(series: int, x: float, y: float) -> Markup:
    """Return the mark of a series of `dots_plot`: a circle for the first, a diamond for the others."""
    if series == 0:
        return tag("circle", cx=float(x), cy=float(y), r=4.5, class_="dot c1")
    corners = ((x, y - 5.5), (x + 5.5, y), (x, y + 5.5), (x - 5.5, y))
    return tag("path", d=f"{path(corners)}Z", class_=f"dot c{series + 1}")


def _median_text(errors_mm: NDArray[np.floating]) -> str:
    known = errors_mm[np.isfinite(errors_mm)]
    return f"{np.median(known):.2f} mm" if known.size else "no answer"


def _number(value: float | None) -> str:
    return "no answer" if value is None else f"{value:.2f}"


def _spoken(each: Estimate) -> str:
    interval = f" ({each.ends[0]:.2f} to {each.ends[1]:.2f})" if each.ends else ""
    return f"{each.label} {_number(each.value)}{interval}"
