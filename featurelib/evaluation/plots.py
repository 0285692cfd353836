"""The plots of the report: cumulative errors, mean errors of all methods, errors by view, calibration."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from featurelib.evaluation.figures import INK, MUTED, PAPER, SERIES, Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 520.0, 330.0
SQUARE = 380.0
ROW = 24.0
"""Height of a row of `dots_plot`."""

ROUND = (1.0, 2.0, 5.0, 10.0)
"""Ticks are these numbers times a power of ten."""

MAX_FINE = 5000
"""A logarithmic axis that spans more than this ratio has ticks at whole decades only."""

MAX_STEPS = 250
"""Steps drawn per curve: more are lower than a pixel, and 100,000 objects would take megabytes."""

MAX_LABELLED = 12
"""With at most this many bars, each has a label and its value above it."""

FALLBACK_MM = (0.1, 1.0)
"""Ends of the axis if there is no error to show."""

Ends = Sequence[float] | None
"""Lower and upper end of an interval, if it is known."""


@dataclass(frozen=True)
class Line:
    """The style of a curve: colour, width in px, and the lengths of dashes and gaps in px."""

    colour: str
    width: float = 1.7
    dashes: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Curve:
    """One method's name, its errors (m,) of all labelled landmarks in mm, NaN without an answer, and its line."""

    label: str
    errors_mm: NDArray[np.floating]
    line: Line


@dataclass(frozen=True)
class Estimate:
    """A number with its name and interval; None where there is no answer."""

    label: str
    value: float | None
    ends: Ends = None


@dataclass(frozen=True)
class Row:
    """One method of `dots_plot`: an estimate per projection."""

    label: str
    estimates: tuple[Estimate, ...]
    is_chosen: bool = False


def round_up(value: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is no smaller than a positive value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in ROUND if step * power >= value * (1 - 1e-9))


def round_down(value: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is no larger than a positive value."""
    power = 10.0 ** math.floor(math.log10(value) + 1e-9)
    return next(step * power for step in reversed(ROUND) if step * power <= value * (1 + 1e-9))


def cumulative(errors: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the errors in ascending order, and for each the share of landmarks with at most this error.

    A landmark without an answer (NaN) counts as farther than any error, so the curve of such a method ends below 1.
    """
    known = np.sort(errors[np.isfinite(errors)].astype(np.float64))
    return known, np.arange(1, known.size + 1) / max(errors.size, 1)


def error_limits(errors: Iterable[NDArray[np.floating]]) -> tuple[float, float]:
    """Return the ends of a logarithmic axis for the errors of several methods.

    It starts below the second percentile of the best method: a single lucky landmark would stretch it by decades.
    """
    known = [each[np.isfinite(each) & (each > 0)] for each in errors]
    known = [each for each in known if each.size]
    if not known:
        return FALLBACK_MM
    low = round_down(min(float(np.percentile(each, 2)) for each in known))
    high = round_up(max(float(each.max()) for each in known))
    return low, high if high > 1.5 * low else 10 * low


def curves_plot(curves: Sequence[Curve], limits_mm: tuple[float, float]) -> Plot:
    """Return the share of landmarks below an error: one step curve per method, the last one on top."""

    def draw(axes: "Axes") -> None:
        for curve in curves:
            errors, shares = cumulative(curve.errors_mm)
            if errors.size:
                keep = np.linspace(0, errors.size - 1, min(errors.size, MAX_STEPS)).round().astype(int)
                x = np.clip([limits_mm[0], *errors[keep], limits_mm[1]], *limits_mm)
                (line,) = axes.step(x, [0, *shares[keep], shares[-1]], where="post", gid=f"title: {curve.label}")
                line.set(color=curve.line.colour, lw=curve.line.width, ls=(0, curve.line.dashes or None), clip_on=False)
        log_axis(axes, limits_mm, "error, mm (logarithmic)")
        axes.set(ylim=(0, 1), title="share of landmarks with a smaller error")
        axes.yaxis.set_major_formatter(per_cent)

    medians = (f"{curve.label} {_median_text(curve.errors_mm)}" for curve in curves)
    return Plot((WIDTH, HEIGHT), f"Median error: {'; '.join(medians)}.", draw)


def bars_plot(bars: Sequence[Estimate], top: float, x_title: str, y_title: str) -> Plot:
    """Return one bar per estimate with its interval as a whisker; the y axis ends at `top`."""
    every = -(-len(bars) // MAX_LABELLED)

    def draw(axes: "Axes") -> None:
        for x, bar in enumerate(bars):
            y = bar.value or 0.0
            low, high = bar.ends or (y, y)
            if bar.value is not None:
                axes.bar(x, y, 0.7, color=SERIES[0], alpha=0.78)
                axes.vlines(x, low, high, color=INK)
            if every == 1 or bar.value is None:
                text = "-" if bar.value is None else _number(bar.value)
                axes.annotate(text, (x, max(y, high)), (0, 4), textcoords="offset points", ha="center", size=11)
        axes.set(xlim=(-0.5, max(len(bars), 1) - 0.5), ylim=(0, top), xlabel=x_title, title=y_title)
        axes.set_xticks(range(len(bars))[:: every or 1], [bar.label for bar in bars[:: every or 1]])
        axes.tick_params("x", length=0)
        axes.locator_params("y", nbins=5)
        axes.grid(visible=False, axis="x")

    numbers = (f"{bar.label} {_number(bar.value)}" for bar in bars)
    return Plot((WIDTH, HEIGHT), f"{y_title}: {'; '.join(numbers)}.", draw)


def dots_plot(rows: Sequence[Row], limits: tuple[float, float], x_title: str) -> Plot:
    """Return one row per method: a mark and an interval per projection, on a logarithmic axis."""

    def draw(axes: "Axes") -> None:
        for k, series in enumerate(zip(*(row.estimates for row in rows), strict=True)):
            offset = 0.2 * (2 * k - len(rows[0].estimates) + 1)
            known = [(each.value, i + offset, each.ends) for i, each in enumerate(series) if each.value is not None]
            for value, y, ends in known:
                axes.hlines(y, *(ends or (value, value)), color=SERIES[k], lw=2.5)
            points = np.array([(value, y) for value, y, _ in known]).reshape(-1, 2)
            axes.plot(*points.T, "oD"[k > 0], c=SERIES[k], mec=PAPER, ms=9 - 1.5 * (k > 0), label=series[0].label)
        log_axis(axes, limits, x_title)
        axes.set_yticks(range(len(rows)), [row.label for row in rows], color=INK, size=13)
        axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
        for label, row in zip(axes.get_yticklabels(), rows, strict=True):
            label.set_fontweight("bold" if row.is_chosen else "normal")
        if rows and len(rows[0].estimates) > 1:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)

    numbers = (f"{row.label} {', '.join(map(_in_words, row.estimates))}" for row in rows)
    return Plot((2 * WIDTH, ROW * (len(rows) + 4)), f"{x_title}: {'; '.join(numbers)}.", draw)


def calibration_plot(points: Sequence[tuple[float, float]]) -> Plot:
    """Return the observed share of landmarks inside a region over the expected share, with the diagonal."""

    def draw(axes: "Axes") -> None:
        axes.axline((0, 0), (1, 1), color=MUTED, ls=(0, (5, 4)), lw=1)
        axes.plot(*zip(*points, strict=True), "o-", color=SERIES[0], mec=PAPER, ms=8, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="expected share of landmarks", title="observed share")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(per_cent)

    numbers = (f"expected {per_cent(round(c, 3))}, observed {per_cent(round(r, 3))}" for c, r in points)
    return Plot((SQUARE, SQUARE), f"{'; '.join(numbers)}.", draw)


def learning_plot(points: Sequence[tuple[int, float, float, float]], promised: Sequence[tuple[int, float]]) -> Plot:
    """Return the median error over the number of labelled objects, with intervals; promises are a dashed line.

    Args:
        points: (labelled, median, low, high) of each run, in mm.
        promised: (labelled, median) of more objects.
    """

    def draw(axes: "Axes") -> None:
        labelled, medians, lows, highs = zip(*sorted(points), strict=True)
        axes.vlines(labelled, lows, highs, color=SERIES[0], lw=2.5)
        axes.plot(labelled, medians, "o-", color=SERIES[0], mec=PAPER, ms=8)
        if promised:
            axes.plot(*zip((labelled[-1], medians[-1]), *promised, strict=True), "o--", color=MUTED, mec=PAPER, ms=7)
        axes.set(xlabel="labelled objects", title="median error, mm", xlim=(0, None), ylim=(0, None))

    numbers = (f"{labelled} objects {median:.2f} mm" for labelled, median, *_ in (*sorted(points), *promised))
    return Plot((WIDTH, HEIGHT), f"{'; '.join(numbers)}.", draw)


def log_axis(axes: "Axes", limits: tuple[float, float], title: str) -> None:
    """Make x logarithmic, with a plain number at each 1, 2 and 5 of a decade."""
    from matplotlib.ticker import LogLocator, NullLocator

    steps = ROUND[:3] if limits[1] / limits[0] < MAX_FINE else ROUND[:1]
    axes.set(xscale="log", xlim=limits, xlabel=title)
    axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=50))
    axes.xaxis.set_major_formatter("{x:.10g}")
    axes.xaxis.set_minor_locator(NullLocator())


def per_cent(share: float, _: object = None) -> str:
    """Return a share, 0 to 1, as text; the second argument is a tick's position, as matplotlib passes it."""
    return f"{100 * share:.10g} %"


def _median_text(errors_mm: NDArray[np.floating]) -> str:
    known = errors_mm[np.isfinite(errors_mm)]
    return f"{np.median(known):.2f} mm" if known.size else "no answer"


def _number(value: float | None) -> str:
    return "no answer" if value is None else f"{value:.2f}"


def _in_words(each: Estimate) -> str:
    interval = f" ({each.ends[0]:.2f} to {each.ends[1]:.2f})" if each.ends else ""
    return f"{each.label} {_number(each.value)}{interval}"
