"""The report: landmark errors on held-out objects, as numbers and as one page.

`metrics`, `coverage`, `scatter` and `morphometrics` compute report.json from `summaries`, whose intervals come from
`bootstrap`. `page` renders report.html from the `plots`, which `figures` turns into SVG, the `methods`, the `matrix` of
all errors and the images of the `worst` objects. `corruptions` damages meshes for experiments.
"""

from featurelib.evaluation.coverage import (
    Answers,
    landmarks_report,
    pairs_report,
    presence_report,
    uncertainty_report,
)
from featurelib.evaluation.metrics import (
    BASELINES,
    REPORT_SCHEMA,
    ErrorTable,
    detector_report,
    lifter_report,
    method_errors_mm,
    table,
)
from featurelib.evaluation.page import page
from featurelib.evaluation.repeats import repeats_report
from featurelib.evaluation.summaries import summary
from featurelib.evaluation.worst import ReportImage, WorstObject, views_to_show, worst_rows

__all__ = [
    "BASELINES",
    "REPORT_SCHEMA",
    "Answers",
    "ErrorTable",
    "ReportImage",
    "WorstObject",
    "detector_report",
    "landmarks_report",
    "lifter_report",
    "method_errors_mm",
    "page",
    "pairs_report",
    "presence_report",
    "repeats_report",
    "summary",
    "table",
    "uncertainty_report",
    "views_to_show",
    "worst_rows",
]
