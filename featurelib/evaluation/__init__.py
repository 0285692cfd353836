"""The report: how far off the landmarks of held-out objects are, as numbers and as one page.

`metrics` and `coverage` (the numbers of report.json) and `page` (report.html, of `sections` of `tables`, `plots` on
their `axes`, and the images of the `worst` objects, all written as `markup`).
"""

from featurelib.evaluation.coverage import uncertainty_report
from featurelib.evaluation.metrics import (
    BASELINES,
    REPORT_SCHEMA,
    detector_report,
    lifter_report,
    method_errors_mm,
    summary,
    table,
)
from featurelib.evaluation.page import page
from featurelib.evaluation.worst import ReportImage, WorstObject, views_to_show, worst_rows

__all__ = [
    "BASELINES",
    "REPORT_SCHEMA",
    "ReportImage",
    "WorstObject",
    "detector_report",
    "lifter_report",
    "method_errors_mm",
    "page",
    "summary",
    "table",
    "uncertainty_report",
    "views_to_show",
    "worst_rows",
]
