"""The page of inferred pairs: the mean shape from two directions with its pairs joined, and a table of the gaps."""

from typing import NamedTuple

import numpy as np

from featurelib.datasets.pair_inference import PairInference
from featurelib.geometry import ROLE_COLOURS
from featurelib.runtime.pages import render

SIZE = 1000
"""Width and height of a drawing; the page scales it."""

MARGIN = 120
"""Space for the names at the right."""


class Dot(NamedTuple):
    """A landmark in a drawing: its place, its name, its class in the page's style, and its text."""

    x: float
    y: float
    name: str
    role: str
    text: str


class Panel(NamedTuple):
    """A drawing of the mean shape. plane: the place of the mirror plane. lines: ends of the pairs' lines."""

    title: str
    plane: float
    lines: list[tuple[float, float, float, float]]
    dots: list[Dot]


def pairs_sheet(title: str, found: PairInference, num_objects: int) -> str:
    """Return the page, HTML without scripts."""
    return render(
        "validation/pairs_sheet.html",
        title=title,
        found=found,
        num_objects=num_objects,
        panels=[_panel(found, 1, "across and up"), _panel(found, 2, "across and in depth")],
        size=SIZE,
        doubtful=set(found.doubtful),
        role_colours=ROLE_COLOURS,
    )


def _panel(found: PairInference, axis: int, title: str) -> Panel:
    """Return the drawing of x, to the right, and of another axis, upwards."""
    flat = found.points[:, [0, axis]] * (1, -1)
    known = np.isfinite(flat).all(axis=1)
    low, high = (flat[known].min(axis=0), flat[known].max(axis=0)) if known.any() else (np.zeros(2), np.ones(2))
    scale = (SIZE - 2 * MARGIN) / max(float((high - low).max()), np.finfo(float).tiny)
    shift = (SIZE - scale * (high + low)) / 2
    places = {name: scale * xy + shift for name, xy in zip(found.names, flat, strict=True) if np.isfinite(xy).all()}
    landmarks = found.landmark_set()
    roles = dict(zip(landmarks.names, landmarks.roles, strict=True))
    lines = [(*places[left], *places[right]) for left, right in found.pairs]
    dots = [
        Dot(x, y, name, roles[name], f"{name}: {100 * gap:.2f} %" if gap is not None else name)
        for name, (x, y) in places.items()
        for gap in (found.gaps.get(name),)
    ]
    return Panel(title, float(shift[0]), lines, dots)
