"""The rule on labels that disagree with the object's other labels, with its surface, or with the other objects."""

from collections.abc import Iterator
from itertools import groupby

from featurelib.labelling.suspects import ANOTHER_OBJECT, MISPLACED, NAMES_SWAPPED, SIDES_SWAPPED, Suspect
from featurelib.validation.dataset.finding import Finding, Severity, first_of
from featurelib.validation.dataset.rules.labels import is_explained, is_off, misplaced_landmarks
from featurelib.validation.dataset.survey import Survey

WARNED = 8.0
"""A label is named if it is this many times farther from its place than usual. The farthest right label of 200 heads
with 76 landmarks is at 6.4, of 200 heads with one pair at 6.0; slips of 5 mm among the 76 are at 13 or more."""

RULES: dict[str, tuple[str, Severity, str]] = {
    SIDES_SWAPPED: ("swapped", "error", "swap left and right in its rows of landmarks.csv"),
    NAMES_SWAPPED: ("names-swapped", "error", "exchange the two names in its rows of landmarks.csv"),
    MISPLACED: ("misplaced", "warning", "check {names}: is it another point?"),
    ANOTHER_OBJECT: (
        "another-object",
        "warning",
        "check its rows of landmarks.csv: are they another object's?",
    ),
}
"""The name of the rule, the severity and the fix, by the kind of the suspect."""


def mistaken_labels(survey: Survey) -> Iterator[Finding]:
    """Sides or names swapped, slips, and marks of another object. What another rule explains is left out."""
    named = {finding.object_id for finding in misplaced_landmarks(survey)} | survey.swapped.keys()
    far = [each for each in survey.suspects if each.score >= WARNED and each.object_id not in named]
    found = sorted((each for each in far if not _is_known(survey, each)), key=_object_and_kind)
    for (object_id, kind), group in groupby(found, key=_object_and_kind):
        suspects = list(group)
        rule, severity, fix = RULES[kind]
        names = first_of([str(each.landmark) for each in suspects], " and ")
        message = first_of([each.reason for each in suspects], "; ")
        yield Finding(rule, severity, object_id, message, fix.format(names=names))


def _object_and_kind(suspect: Suspect) -> tuple[str, str]:
    return suspect.object_id, suspect.kind


def _is_known(survey: Survey, suspect: Suspect) -> bool:
    """Return whether another rule explains a suspect: of its label, or of one of all labels."""
    row, labels = next((row, labels) for row, labels in survey.labelled if row.object_id == suspect.object_id)
    known = (is_off(survey, row, labels) | is_explained(survey, row.object_id)) & labels.is_labelled
    places = slice(None) if suspect.landmark is None else [survey.names.index(suspect.landmark)]
    return bool(known[places].any())
