"""The report: landmark errors on held-out objects, as numbers and as one page.

`metrics`, `bootstrap` and `coverage` compute report.json. `page` renders report.html from the `plots`, which `figures`
turns into SVG, the `methods` and the images of the `worst` objects. `corruptions` damages meshes for experiments.
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
