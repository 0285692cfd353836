"""report.html: the whole report as one file that needs no other: no script, no font, no request.

It can be mailed, printed and read in light and dark. What it says is said in words too, for screen readers.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from featurelib.evaluation import tables
from featurelib.evaluation.markup import Markup, join, tag
from featurelib.evaluation.metrics import BASELINES
from featurelib.evaluation.sections import (
    Errors,
    Json,
    curves_section,
    detector_section,
    errors_section,
    section,
    uncertainty_section,
)
from featurelib.evaluation.worst import WorstObject, card, legend

STYLE = Path(__file__).with_name("page.css")


def page(report: Json, curves: Mapping[str, Errors], worst: Sequence[WorstObject]) -> str:
    """Return report.html.

    Args:
        report: the content of report.json; the parts `uncertainty` and `audit`, and all intervals, may be missing.
        curves: by projection and method the errors (n, 2) in mm of all test objects, NaN where there is no answer.
        worst: with their images, in the order in which they are shown.
    """
    sections = [
        errors_section(report),
        curves_section(report, curves),
        uncertainty_section(report),
        detector_section(report),
        _worst(report, worst),
        _audit(report),
    ]
    test, train, val = (report["objects"].get(split, 0) for split in ("test", "train", "val"))
    html = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("title", "featurelib report"),
            tag("style", Markup(STYLE.read_text(encoding="utf-8"))),
        ),
        tag(
            "body",
            tag(
                "header",
                tag("h1", "How far off the landmarks are"),
                tag(
                    "p",
                    f"Measured on {test} test objects that nothing was trained on; "
                    f"{train} objects trained the networks, and {val} chose among the methods.",
                ),
                tag("div", *(_tile(report, projection) for projection in report["lifter"]), class_="tiles"),
            ),
            tag("main", *sections),
        ),
        lang="en",
    )
    return f"<!doctype html>\n{html}\n"


def _tile(report: Json, projection: str) -> Markup:
    """Return a projection's answer in one number, beside both baselines."""
    lifter = report["lifter"][projection]
    chosen = lifter["test"].get(lifter["chosen"], {})
    mean, ends = chosen.get("error_mm", {}).get("mean"), (chosen.get("interval_mm") or {}).get("mean")
    baselines = (
        f"{name} {tables.number(value, ' mm')}"
        for name in BASELINES
        for value in [lifter["test"].get(name, {}).get("error_mm", {}).get("mean")]
        if value is not None
    )
    frame_mm = report["frame_mm"].get(projection)
    return tag(
        "section",
        tag("h2", projection),
        tag("p", tables.number(mean, " mm") or "no answer", class_="big"),
        tag("p", f"mean error of {lifter['chosen']}", f", 95 % interval {tables.to(ends)} mm" if ends else None),
        tag("p", f"baselines: {', '.join(baselines) or 'none'}", class_="muted"),
        tag("p", f"image {frame_mm:g} mm wide at the object", class_="muted") if frame_mm else None,
        class_="tile",
    )


def _worst(report: Json, worst: Sequence[WorstObject]) -> Markup | None:
    if not worst:
        return None
    groups = [
        join(
            tag("h3", projection),
            *(card(each, report["frame_mm"].get(projection)) for each in worst if each.projection == projection),
        )
        for projection in dict.fromkeys(each.projection for each in worst)
    ]
    return section(
        "The worst objects",
        tag(
            "p",
            "Of the chosen method, the largest error first. L and R are the object's own left and right; scale bars "
            "hold at its centre.",
        ),
        legend(),
        *groups,
    )


def _audit(report: Json) -> Markup | None:
    audit = report.get("audit")
    if audit is None:
        return None
    lines = {"Shared between the splits": audit.get("leaks"), "Nearly the same": audit.get("near_duplicates")}
    found = [
        join(tag("h3", title), tag("ul", *(tag("li", line) for line in said))) for title, said in lines.items() if said
    ]
    return section("The splits", *(found or [tag("p", "Nothing shared between the splits.")]))
