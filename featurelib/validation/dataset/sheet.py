"""The contact sheet: one self-contained page of images, for a visual check of what no rule can judge."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from featurelib.geometry import ROLE_COLOURS
from featurelib.runtime.pages import render
from featurelib.validation.dataset.drawing import VIEW_NAMES, Drawing
from featurelib.validation.dataset.finding import SEVERITIES, Finding
from featurelib.validation.dataset.summary import counts
from featurelib.validation.dataset.survey import Survey

MOST_WITH_FINDINGS, MOST_WITHOUT = 240, 60
"""Maximum numbers of objects on a sheet: 300 take 10 MB."""


def chosen(survey: Survey, findings: Sequence[Finding]) -> tuple[list[str], list[str]]:
    """Return the ids of the objects on the sheet: those with findings, and an even sample of those without.

    If too many have findings, rules take turns: the first object of each rule, then the second of each rule.
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
    """Return the contact sheet, an HTML page.

    Args:
        survey: the measured dataset.
        findings: of all rules.
        shown: the objects on the sheet, as `chosen` returns them.
        drawings: by object id; the card of an object without a drawing has no images.
    """
    by_object: dict[str | None, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_object[finding.object_id].append(finding)
    flagged, clean = shown
    return render(
        "validation/dataset/sheet.html",
        title=survey.dataset.uri,
        dataset=survey.dataset,
        num_objects=len(survey.measured) + len(survey.unread),
        counts=counts(findings),
        by_object=by_object,
        flagged=flagged,
        num_flagged=sum(object_id is not None for object_id in by_object),
        clean=clean,
        num_clean=sum(row.object_id not in by_object for row in survey.measured),
        sizes_mm={row.object_id: row.size_mm for row in survey.measured},
        drawings=drawings,
        view_names=VIEW_NAMES,
        role_colours=ROLE_COLOURS,
    )
