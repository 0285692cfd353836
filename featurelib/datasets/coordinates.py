"""Coordinates as people and programs write them: decimal marks, and the markers of points without a position."""

import re
from collections.abc import Sequence

from featurelib.errors import DataError

Xyz = tuple[float, float, float]

MISSING_WORDS = frozenset(
    (
        *("", ".", "..", "-", "--", "?", "na", "n/a", "nan", "-nan", "null", "none", "nil", "missing", "undefined"),
        *("#n/a", "#nv", "#value!", "#num!", "#ref!", "#div/0!", "1.#qnan", "-1.#ind", "nan(ind)", "-nan(ind)"),
    )
)
"""Cells without a value in lower case, as R, pandas, spreadsheets, JSON and C libraries write them."""

MISSING_NUMBERS = frozenset((99.0, 999.0, 9999.0, 99999.0))
"""Absolute values that mark a point that was not placed, in all of its three coordinates.

-99 is usual in SPSS, -999 in NTSYSpc, -9999 in R, and 9999 in IDAV Landmark Editor ("read.pts" in the manual of the R
package Morpho).
"""

LARGEST = 1e12
"""Largest absolute coordinate: 1,000 km in micrometres. Squares of larger ones may overflow."""

DECIMAL_COMMA = re.compile(r"[-+\N{MINUS SIGN}]?[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})")
"""A number whose comma cannot separate thousands."""

SHOWN = 60
"""Number of characters of a bad position in a message."""


def position(values: object, *, decimal_commas: bool = False) -> Xyz:
    """Return a point's position from three numbers or texts.

    Args:
        values: as they were parsed.
        decimal_commas: whether a comma in a text is the decimal mark even if it could separate thousands. All three
            texts have the same mark.

    Raises:
        DataError: of the form "is <values>, and why"; if there are not three finite numbers, or if they mark a missing
            value.
    """
    if values is None:
        raise DataError("has no position; place the point")
    if isinstance(values, str | bytes) or not isinstance(values, Sequence) or len(values) != 3:
        raise DataError(f"is {str(values)[:SHOWN]!r}; expected three numbers")
    commas = decimal_commas or any(DECIMAL_COMMA.fullmatch(str(value).strip()) for value in values)
    try:
        x, y, z = (_number(value) for value in (with_points(values) if commas else values))
    except (TypeError, ValueError, OverflowError):
        raise DataError(_fault(values)) from None
    if is_missing((x, y, z)) or not (abs(x) <= LARGEST and abs(y) <= LARGEST and abs(z) <= LARGEST):
        raise DataError(_fault(values, is_marked=is_missing((x, y, z))))
    return x, y, z


def _fault(values: Sequence[object], *, is_marked: bool = False) -> str:
    """Return why three values are no position; `is_marked`: their numbers mark a missing value."""
    shown = " ".join(" ".join(str(value) for value in values).split())[:SHOWN]
    if is_marked or not MISSING_WORDS.isdisjoint(str(value).strip().lower() for value in values):
        return f"is {shown or 'empty'}, a missing value; place the point"
    mark = " with decimal points" if "," in shown else ""
    return f"is {shown}; expected three finite numbers{mark}, none beyond {LARGEST:g}"


def is_missing(xyz: Sequence[float]) -> bool:
    """Return whether finite coordinates mark a point that was not placed."""
    x, y, z = xyz
    return x == y == z and abs(x) in MISSING_NUMBERS


def with_points(cells: Sequence[object]) -> list[object]:
    """Return the numbers of one row with decimal points; unchanged if a cell has a point, since marks are not mixed."""
    texts = [str(cell) for cell in cells]
    if not any("," in text for text in texts) or any("." in text for text in texts):
        return [*cells]
    return [text.replace(",", ".") if text.count(",") == 1 else text for text in texts]


def _number(value: object) -> float:
    """Return a number; Python's underscores and truth values are none."""
    if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        raise ValueError(value)
    return float(value.replace("\N{MINUS SIGN}", "-") if isinstance(value, str) else value)  # type: ignore[arg-type]
