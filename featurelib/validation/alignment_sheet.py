"""The page of an alignment: images of every object before and after, with flagged objects first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from featurelib.geometry import ROLE_COLOURS
from featurelib.runtime.pages import render
from featurelib.validation.dataset.drawing import VIEW_NAMES, Drawing

MAX_OBJECTS = 120
"""Objects on a sheet, which then has 8 MB."""


@dataclass(frozen=True)
class Row:
    """The result for one object.

    rotation_deg: angle of its rotation. residual_pct: mean distance from the mean shape, in percent of its size.
    review_reason: why the rotation may be wrong; empty if it is reliable.
    """

    object_id: str
    rotation_deg: float
    residual_pct: float
    review_reason: str = ""

    @property
    def summary(self) -> str:
        """The result in words."""
        review = f"; flagged for review: {self.review_reason}" if self.review_reason else ""
        return f"rotated by {self.rotation_deg:.0f} degrees, residual {self.residual_pct:.2f} %{review}"

    def __str__(self) -> str:
        """Return the row as one line."""
        return f"{self.object_id}: {self.summary}"


def chosen(rows: Sequence[Row]) -> list[Row]:
    """Return the rows on a sheet: the flagged ones, and an even sample of the others."""
    flagged = [row for row in rows if row.review_reason][:MAX_OBJECTS]
    reliable = [row for row in rows if not row.review_reason]
    count = min(len(reliable), MAX_OBJECTS - len(flagged))
    return flagged + [reliable[i * len(reliable) // count] for i in range(count)]


def alignment_sheet(
    title: str, rows: Sequence[Row], before: Mapping[str, Drawing], after: Mapping[str, Drawing]
) -> str:
    """Return the page of these rows; drawings are by object."""
    return render(
        "validation/alignment_sheet.html",
        title=title,
        rows=chosen(rows),
        num_objects=len(rows),
        num_flagged=sum(bool(row.review_reason) for row in rows),
        before=before,
        after=after,
        view_names=VIEW_NAMES,
        role_colours=ROLE_COLOURS,
    )
