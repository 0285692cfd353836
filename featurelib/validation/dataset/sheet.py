"""The contact sheet: one page without any other file, to see at a glance what no rule can judge."""

import base64
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from featurelib.geometry import SIDE_COLOURS, SIDES
from featurelib.validation.dataset.drawing import VIEW_NAMES, Drawing, Mark
from featurelib.validation.dataset.finding import SEVERITIES, Finding
from featurelib.validation.dataset.summary import counts
from featurelib.validation.dataset.survey import Survey

MOST_WITH_FINDINGS, MOST_WITHOUT = 240, 60
"""Objects on a sheet: 300 are 10 MB."""

_PAGE_STYLE = """
:root { --ink: #1d2430; --soft: #66707f; --line: #dfe3e8; --paper: #f6f7f9;
        --error: #c22f2f; --warning: #b06a00; --note: #66707f; }
* { box-sizing: border-box; }
body { margin: 0; padding: 24px; font: 14px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
h1 { margin: 0 0 4px; font-size: 22px; }
h2 { margin: 28px 0 10px; font-size: 16px; }
p { margin: 4px 0; max-width: 75em; }
.soft { color: var(--soft); }
ul { margin: 6px 0 0; padding: 0; list-style: none; }
li { margin: 3px 0; overflow-wrap: anywhere; }
.error, .warning, .note { font-weight: 600; }
.error { color: var(--error); } .warning { color: var(--warning); } .note { color: var(--note); }
.cards { display: grid; gap: 14px; grid-template-columns: repeat(auto-fill, minmax(370px, 1fr)); }
.card { padding: 10px; background: white; border: 1px solid var(--line); border-radius: 8px; }
.card.has-error { border-left: 4px solid var(--error); } .card.has-warning { border-left: 4px solid var(--warning); }
.card h3 { margin: 0 0 6px; font-size: 14px; overflow-wrap: anywhere; }
.views { display: flex; gap: 6px; }
figure { flex: 1; margin: 0; } figcaption { font-size: 11px; color: var(--soft); text-align: center; }
svg { display: block; width: 100%; border: 1px solid var(--line); }
.mark { stroke: var(--soft); stroke-width: .012; fill-opacity: .85; }
.mark.occluded { fill-opacity: 0; stroke-dasharray: .02 .015; }
.key { display: inline-block; width: 1em; height: 1em; vertical-align: -.15em; border: 0; }
"""
_SIDE_STYLE = "".join(f".{side} {{ fill: {colour}; stroke: {colour}; }}\n" for side, colour in SIDE_COLOURS.items())
STYLE = _PAGE_STYLE + _SIDE_STYLE

KEY = "; ".join(
    f'<svg class="key" viewBox="-.03 -.03 .06 .06"><circle class="mark {style}" r=".022"/></svg> {says}'
    for style, says in (
        ("left", "the object's own left"),
        ("right", "its own right"),
        ("occluded", "dashed: a landmark that the surface hides"),
    )
)
"""What the marks in the pictures mean."""


def chosen(survey: Survey, findings: Sequence[Finding]) -> tuple[list[str], list[str]]:
    """Return the ids of the objects on the sheet: those with findings, and an even sample of those without.

    If there are too many with findings, every rule gets its turn: the first object of each, then the second of each.
    """
    turns: dict[str, int] = defaultdict(int)
    ranks: dict[str, tuple[int, int]] = {}
    for finding in findings:
        if finding.object_id is not None:
            rank = (turns[finding.rule], SEVERITIES.index(finding.severity))
            ranks[finding.object_id] = min(rank, ranks.get(finding.object_id, rank))
            turns[finding.rule] += 1
    first = set(sorted(ranks, key=lambda object_id: ranks[object_id])[:MOST_WITH_FINDINGS])
    shown = [object_id for object_id in ranks if object_id in first]
    clean = [row.object_id for row in survey.measured if row.object_id not in ranks]
    count = min(len(clean), MOST_WITHOUT)
    return shown, [clean[i * len(clean) // count] for i in range(count)]


def sheet(
    survey: Survey,
    findings: Sequence[Finding],
    shown: tuple[Sequence[str], Sequence[str]],
    drawings: Mapping[str, Drawing],
) -> str:
    """Return the page.

    Args:
        survey: what was measured.
        findings: of all rules.
        shown: as `chosen` returns it.
        drawings: by object id; an object without one is shown by its findings alone.
    """
    by_object: dict[str | None, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_object[finding.object_id].append(finding)
    with_findings, without = shown
    total = sum(object_id is not None for object_id in by_object)
    num_clean = sum(row.object_id not in by_object for row in survey.measured)
    rest = "" if len(with_findings) == total else ", some of every rule; findings.json has all"
    even = "" if len(without) == num_clean else ", evenly spread"
    sizes_mm = {row.object_id: row.size_mm for row in survey.measured}

    def cards(object_ids: Iterable[str]) -> str:
        parts = (_card(i, sizes_mm.get(i), by_object.get(i, []), drawings.get(i)) for i in object_ids)
        return f'<div class="cards">{"".join(parts)}</div>'

    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><meta charset="utf-8"><title>{escape(survey.dataset.uri)}</title><style>{STYLE}</style>',
            _head(survey, findings),
            _list(by_object[None]),
            f"<h2>With findings: {_share(len(with_findings), total)}{rest}</h2>",
            cards(with_findings),
            f"<h2>Without: {_share(len(without), num_clean)}{even}</h2>",
            cards(without),
            "</html>",
        ]
    )


def _head(survey: Survey, findings: Sequence[Finding]) -> str:
    found = counts(findings)
    numbers = ", ".join(f'<span class="{s}">{found[s]} {s}{"s" * (found[s] != 1)}</span>' for s in SEVERITIES)
    dataset = survey.dataset
    return (
        f"<h1>{escape(dataset.uri)}</h1><p>{len(survey.measured) + len(survey.unread)} objects, landmark "
        f"{escape(dataset.landmark)}, unit {escape(dataset.unit)}: {numbers}</p>"
        '<p class="soft">Every object fills its pictures, whatever its size. From the front it should look at you, '
        "upright, with its left landmark on the right-hand side and its right one on the left-hand side.</p>"
        f'<p class="soft">{KEY}</p>'
    )


def _list(findings: Sequence[Finding]) -> str:
    lines = (
        f'<li><span class="{f.severity}">{f.severity}</span> [{escape(f.rule)}] {escape(f.message)}; '
        f'<span class="soft">{escape(f.fix)}</span></li>'
        for f in findings
    )
    return f"<ul>{''.join(lines)}</ul>"


def _share(shown: int, total: int) -> str:
    if not total:
        return "none"
    return f"all {total} objects" if shown == total else f"{shown} of {total} objects"


def _card(object_id: str, size_mm: float | None, findings: Sequence[Finding], drawing: Drawing | None) -> str:
    worst = min((SEVERITIES.index(finding.severity) for finding in findings), default=None)
    style = "card" if worst is None else f"card has-{SEVERITIES[worst]}"
    size = "" if size_mm is None else f' <span class="soft">{size_mm:.4g} mm</span>'
    return (
        f'<section class="{style}"><h3>{escape(object_id)}{size}</h3>{views(drawing) if drawing else ""}'
        f"{_list(findings) if findings else ''}</section>"
    )


def views(drawing: Drawing) -> str:
    """Return the images of an object, side by side, with its landmarks."""
    marks = drawing.marks or ((),) * len(drawing.pngs)
    figures = (
        f'<figure><svg viewBox="0 0 1 1"><image width="1" height="1" href="data:image/png;base64,'
        f'{base64.b64encode(png).decode()}"/>{_rings(pair)}</svg><figcaption>{name}</figcaption></figure>'
        for name, png, pair in zip(VIEW_NAMES, drawing.pngs, marks, strict=True)
    )
    return f'<div class="views">{"".join(figures)}</div>'


def _rings(marks: Sequence[Mark]) -> str:
    return "".join(
        f'<circle class="mark {side}{" occluded" * mark.is_occluded}" cx="{mark.x:.4f}" cy="{mark.y:.4f}" r=".022">'
        f"<title>{side}</title></circle>"
        for side, mark in zip(SIDES, marks, strict=False)
    )
