"""The page of an alignment: every object before and after, those that are not sure first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from featurelib.validation.dataset.drawing import Drawing
from featurelib.validation.dataset.sheet import KEY, STYLE, views

MOST = 120
"""Objects on a sheet: 8 MB."""


@dataclass(frozen=True)
class Row:
    """What is said of one object: the angle that it was turned by, what is left of its shape, and why it is not sure.

    residual_pct: mean distance from the mean shape, in percent of its size. doubt: empty if it is sure.
    """

    object_id: str
    turn_deg: float
    residual_pct: float
    doubt: str = ""

    @property
    def says(self) -> str:
        """What is said of it."""
        doubt = f"; not sure: {self.doubt}" if self.doubt else ""
        return f"turned by {self.turn_deg:.0f} degrees, {self.residual_pct:.2f} % left{doubt}"

    def __str__(self) -> str:
        """Return the row as one line."""
        return f"{self.object_id}: {self.says}"


def chosen(rows: Sequence[Row]) -> list[Row]:
    """Return the rows on a sheet: those that are not sure, and an even sample of the rest."""
    doubted = [row for row in rows if row.doubt][:MOST]
    sure = [row for row in rows if not row.doubt]
    count = min(len(sure), MOST - len(doubted))
    return doubted + [sure[i * len(sure) // count] for i in range(count)]


def alignment_sheet(
    title: str, rows: Sequence[Row], before: Mapping[str, Drawing], after: Mapping[str, Drawing]
) -> str:
    """Return the page of these rows; drawings are by object."""
    num_doubted = sum(bool(row.doubt) for row in rows)
    cards = "".join(_card(row, before.get(row.object_id), after.get(row.object_id)) for row in chosen(rows))
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
        f"<h1>{escape(title)}</h1><p>{len(rows)} objects, {num_doubted} not sure</p>"
        '<p class="soft">Each as its file and dataset.json say (above) and after its own turn (below). Below it should '
        f'look at you from the front, upright.</p><p class="soft">{KEY}</p>'
        f'<div class="cards">{cards}</div></html>'
    )


def _card(row: Row, before: Drawing | None, after: Drawing | None) -> str:
    images = "".join(views(drawing) for drawing in (before, after) if drawing)
    said = f'<li class="{"warning" if row.doubt else "soft"}">{escape(row.says)}</li>'
    style = "card has-warning" if row.doubt else "card"
    return f'<section class="{style}"><h3>{escape(row.object_id)}</h3>{images}<ul>{said}</ul></section>'
