"""The page of an alignment: images of every object before and after, with flagged objects first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from featurelib.validation.dataset.drawing import Drawing
from featurelib.validation.dataset.sheet import KEY, STYLE, views

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
    """Return the HTML page of these rows, with drawings by object."""
    num_flagged = sum(bool(row.review_reason) for row in rows)
    cards = "".join(_card(row, before.get(row.object_id), after.get(row.object_id)) for row in chosen(rows))
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
        f"<h1>{escape(title)}</h1><p>{len(rows)} objects, {num_flagged} flagged for review</p>"
        '<p class="soft">Above: each object with the alignment of dataset.json. Below: with its own rotation as well; '
        f'the middle image should show the face, upright.</p><p class="soft">{KEY}</p>'
        f'<div class="cards">{cards}</div></html>'
    )


def _card(row: Row, before: Drawing | None, after: Drawing | None) -> str:
    images = "".join(views(drawing) for drawing in (before, after) if drawing)
    item = f'<li class="{"warning" if row.review_reason else "soft"}">{escape(row.summary)}</li>'
    style = "card has-warning" if row.review_reason else "card"
    return f'<section class="{style}"><h3>{escape(row.object_id)}</h3>{images}<ul>{item}</ul></section>'
