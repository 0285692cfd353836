"""The picture of all errors of a method: a cell for each object and landmark, dark or orange where the error is large.

Such a row is a bad object, such a column a landmark that is badly defined or badly labelled.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.evaluation.metrics import ErrorTable

CELL, GAP = 12, 1
"""Width of a cell, and of the line between two, in px."""

LETTER = 6.0
"""Width of a letter of a name, in px."""

LONGEST = 28
"""Letters of a name that are shown."""

RATIOS = (1.0, 2.0, 4.0, 8.0)
"""Upper ends of the classes of errors, in units of the median error of all; the last class has none."""

NO_ANSWER = len(RATIOS) + 1
"""The class of landmarks that are labelled and not found."""

MAX_ROWS = 100
"""Objects that are shown: those with the largest mean errors."""

MAX_TIPS = 200
"""Cells with a tooltip: those with the largest errors."""


class Cell(NamedTuple):
    """The place of a cell in px, and its tooltip."""

    x: int
    y: int
    tip: str


class Line(NamedTuple):
    """A row or a column: its middle in px, its name, and the name as it is shown."""

    at: float
    name: str
    shown: str


class Matrix(NamedTuple):
    """A drawing of errors, with the upper left cell at (left, top).

    paths: by class, the outline of its cells. limits_mm: upper ends of the classes. cells: those with a tooltip.
    rows, columns: of objects and landmarks. num_objects: with errors, of which at most MAX_ROWS are rows.
    """

    width: float
    height: float
    left: float
    top: float
    paths: dict[int, str]
    limits_mm: tuple[float, ...]
    cells: list[Cell]
    rows: list[Line]
    columns: list[Line]
    num_objects: int


def matrix(errors: ErrorTable, method: str, names: Sequence[str]) -> Matrix | None:
    """Return the drawing of a method's errors; None without any error.

    Args:
        errors: of all methods.
        method: its name.
        names: (k,) of the landmarks.
    """
    errors_mm = errors.by_method[method]
    known = np.isfinite(errors_mm)
    if not known.any():
        return None
    has_label = np.asarray(errors.is_labelled.any(axis=1))
    worst_first = _worst_first(errors_mm, known)
    order = worst_first[has_label[worst_first]][:MAX_ROWS]
    limits_mm = float(np.median(errors_mm[known])) * np.array(RATIOS)
    classes = np.where(known, np.searchsorted(limits_mm, errors_mm), NO_ANSWER)[order]
    shown = errors.is_labelled[order]
    ids = [errors.object_ids[i] for i in order]
    left, top = (LETTER * min(LONGEST, max(map(len, texts))) + 8 for texts in (ids, names))
    return Matrix(
        left + CELL * len(names) + 0.5 * top,  # the names of columns are slanted
        top + CELL * len(ids),
        left,
        top,
        {level: _path(shown & (classes == level)) for level in range(NO_ANSWER + 1)},
        tuple(limits_mm.tolist()),
        _cells(errors_mm[order], ids, names),
        _lines(ids),
        _lines(names),
        int(has_label.sum()),
    )


def _worst_first(errors_mm: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the rows of errors (n, k) in descending order of the mean; those without any answer are first."""
    total, count = np.where(known, errors_mm, 0.0).sum(axis=1), known.sum(axis=1)
    means = np.divide(total, count, out=np.full(len(total), np.inf), where=count > 0)
    return np.argsort(-means, kind="stable")


def _path(chosen: NDArray[np.bool_]) -> str:
    """Return the outline of the chosen cells (n, k)."""
    size = CELL - GAP
    return "".join(f"M{CELL * x} {CELL * y}h{size}v{size}h-{size}z" for y, x in np.argwhere(chosen))


def _cells(errors_mm: NDArray[np.float64], ids: Sequence[str], names: Sequence[str]) -> list[Cell]:
    """Return the cells with the largest errors."""
    flat = np.where(np.isfinite(errors_mm), errors_mm, -1.0).ravel()
    largest = np.argsort(-flat, kind="stable")[: min(MAX_TIPS, int((flat >= 0).sum()))]
    places = zip(*np.unravel_index(largest, errors_mm.shape), strict=True)
    return [Cell(CELL * int(x), CELL * int(y), f"{ids[y]}, {names[x]}: {errors_mm[y, x]:.2f} mm") for y, x in places]


def _lines(names: Sequence[str]) -> list[Line]:
    return [Line(CELL * (i + 0.5), name, _shortened(name)) for i, name in enumerate(names)]


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
