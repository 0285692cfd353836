"""The result of a validation, as a table for a terminal and as plain values for JSON."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from featurelib.validation.dataset.finding import SEVERITIES, Finding
from featurelib.validation.dataset.survey import Survey

SCHEMA = 1

LINES_A_RULE = 20
"""Number of findings per rule and severity that the table lists; the rest is counted."""


def summary(survey: Survey, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the content of `findings.json`."""
    return {
        "schema": SCHEMA,
        "dataset": survey.dataset.uri,
        "unit": survey.dataset.unit,
        "landmarks": survey.dataset.landmarks.to_dict(),
        "mirror": survey.dataset.landmarks.mirror,
        "is_labelled": survey.is_labelled,
        "objects": {
            "checked": len(survey.measured) + len(survey.unread),
            "readable": len(survey.measured),
            "with_findings": len({f.object_id for f in findings if f.object_id is not None}),
        },
        "counts": counts(findings),
        "frame_mm": dict(survey.frames_mm),
        "findings": [finding.to_dict() for finding in findings],
    }


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    """Return the number of findings by severity."""
    found = Counter(finding.severity for finding in findings)
    return {severity: found[severity] for severity in SEVERITIES}


def table(findings: Sequence[Finding], lines_a_rule: int = LINES_A_RULE) -> Iterator[str]:
    """Yield one line per finding: severity, rule, object, message and fix.

    Only the first `lines_a_rule` of each rule and severity are listed, so that one fault in each of 10,000 objects does
    not bury the others.
    """
    groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.severity, finding.rule].append(finding)
    for (severity, rule), found in groups.items():
        yield from map(str, found[:lines_a_rule])
        if len(found) > lines_a_rule:
            yield f"{severity} [{rule}] and {len(found) - lines_a_rule} more of this rule; --json lists all"


def verdict(survey: Survey, findings: Sequence[Finding]) -> str:
    """Return the last line: how many objects were checked, and how many findings there are."""
    found = counts(findings)
    numbers = ", ".join(f"{found[severity]} {severity}{'s' * (found[severity] != 1)}" for severity in SEVERITIES)
    return f"{survey.dataset.uri}: {len(survey.measured) + len(survey.unread)} objects checked: {numbers}"
