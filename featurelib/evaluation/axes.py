"""What every plot stands in: scales, ticks, axes with units, and an SVG that says in words what it shows.

Plots are drawn by these few functions, not by a library: the page is one file without scripts, its colours are those of
page.css in light and dark, and a plotting library would take longer to import than all of the report takes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from featurelib.evaluation.markup import Markup, join, tag

ROUND = (1.0, 2.0, 5.0, 10.0)
"""Ticks stand at these times a power of ten."""

MAX_FINE = 5000
"""A logarithmic axis that spans more than this ratio has ticks at whole decades only."""

TICK = 5
"""Length of a tick's line."""


@dataclass(frozen=True)
class Scale:
    """Values to positions along one axis of an image.

    low, high: the values at its ends; those beyond are drawn at the end.
    start, end: where the ends lie, in units of the image; y grows downwards there.
    is_log: whether equal ratios, in place of equal differences, are equally far apart.
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """Return the position of a value."""
        low, high, inside = (self._along(v) for v in (self.low, self.high, min(max(value, self.low), self.high)))
        return self.start + (inside - low) / (high - low) * (self.end - self.start)

    def _along(self, value: float) -> float:
        return math.log(value) if self.is_log else value

    @property
    def ticks(self) -> list[float]:
        """Round values from one end to the other: 1, 2 and 5 of each decade, or about five equal steps."""
        slack = 1e-9 * (self.high - self.low)
        if not self.is_log:
            step = round_up((self.high - self.low) / 5)
            first, last = math.ceil((self.low - slack) / step), math.floor((self.high + slack) / step)
            return [i * step for i in range(first, last + 1)]
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = ROUND[:3] if self.high / self.low < MAX_FINE else ROUND[:1]
        values = [step * 10.0**decade for decade in decades for step in steps]
        return [value for value in values if self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9)]


def round_up(value: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is no smaller than a positive value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in ROUND if step * power >= value * (1 - 1e-9))


def round_down(value: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is no larger than a positive value."""
    power = 10.0 ** math.floor(math.log10(value) + 1e-9)
    return next(step * power for step in reversed(ROUND) if step * power <= value * (1 + 1e-9))


def plain(value: float) -> str:
    """Return a tick's label: no more digits than it needs."""
    return f"{value:.10g}"


def per_cent(share: float) -> str:
    """Return a share, 0 to 1, as a tick's label."""
    return f"{100 * share:.10g} %"


def image(name: str, size: tuple[float, float], title: str, description: str, *drawn: str | None) -> Markup:
    """Return an SVG with the two texts that a screen reader says in its place.

    Args:
        name: unique on the page, without spaces.
        size: width and height of its coordinate system; it takes the width that the page gives it.
        title: what it is.
        description: what is to be seen in it.
        drawn: its content.
    """
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", description, id=f"{name}-desc"),
        *drawn,
        viewBox=f"0 0 {size[0]:g} {size[1]:g}",
        role="img",
        aria_labelledby=f"{name}-title",
        aria_describedby=f"{name}-desc",
    )


def horizontal(
    x: Scale, at: float, title: str, label: Callable[[float], str] = plain, grid_to: float | None = None
) -> Markup:
    """Return an axis along x at the height `at`, with grid lines up to the height `grid_to`."""
    ticks = x.ticks
    grid = [] if grid_to is None else [line(x(value), at, x(value), grid_to, "grid") for value in ticks]
    marks = [line(x(value), at, x(value), at + TICK, "axis") for value in ticks]
    texts = [text(label(value), x(value), at + TICK + 14, "tick", "middle") for value in ticks]
    named = text(title, (x.start + x.end) / 2, at + TICK + 35, "axis-title", "middle")
    return join(*grid, line(x.start, at, x.end, at, "axis"), *marks, *texts, named)


def vertical(
    y: Scale, at: float, title: str, label: Callable[[float], str] = plain, grid_to: float | None = None
) -> Markup:
    """Return an axis along y at `at`, with grid lines up to `grid_to`; its title stands above it, easy to read."""
    ticks = y.ticks
    grid = [] if grid_to is None else [line(at, y(value), grid_to, y(value), "grid") for value in ticks]
    texts = [text(label(value), at - TICK - 3, y(value) + 4, "tick", "end") for value in ticks]
    return join(*grid, *texts, text(title, 0, y.end - 14, "axis-title", "start"))


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line."""
    return tag("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)


def text(content: str, x: float, y: float, class_: str, anchor: str) -> Markup:
    """Return a line of text; anchor is SVG's: start, middle or end."""
    return tag("text", content, x=float(x), y=float(y), class_=class_, text_anchor=anchor)


def path(points: Sequence[tuple[float, float]]) -> str:
    """Return the `d` of a line through points."""
    return "M" + " L".join(f"{x:.2f} {y:.2f}" for x, y in points)
