import json

from featurelib.validation.dataset.finding import Finding
from featurelib.validation.dataset.rules import check
from featurelib.validation.dataset.summary import counts, summary, table, verdict

UNIT = Finding("unit", "error", "a", "0.4 mm in size", "multiply by 1000")
SIZE = Finding("size", "note", None, "objects are\n376 mm", "nothing to do")


def test_a_finding_is_one_line():
    """The line has severity, rule, object, message and fix; line breaks are removed."""
    assert str(UNIT) == "error [unit] a: 0.4 mm in size; multiply by 1000"
    assert str(SIZE) == "note [size] objects are 376 mm; nothing to do"


def test_the_table_has_one_line_per_finding_up_to_a_limit_per_rule():
    """A fault in every object does not bury the others."""
    many = [Finding("frame", "warning", str(i), "cut", "crop") for i in range(100)]

    lines = list(table([UNIT, *many, SIZE], lines_a_rule=3))

    assert lines == [
        str(UNIT),
        *map(str, many[:3]),
        "warning [frame] and 97 more of this rule; --json lists all",
        str(SIZE),
    ]


def test_the_summary_is_plain_json(clean_survey):
    """JSON gives back the same values, with every finding."""
    findings = [UNIT, *check(clean_survey)]

    values = summary(clean_survey, findings)

    assert json.loads(json.dumps(values)) == values
    assert values["counts"] == counts(findings) == {"error": 1, "warning": 1, "note": 3}
    assert [Finding(**finding) for finding in values["findings"]] == findings
    assert values["objects"] == {"checked": 44, "readable": 44, "with_findings": 1}
    assert verdict(clean_survey, findings).endswith("44 objects checked: 1 error, 1 warning, 3 notes")
