import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from featurelib.datasets.schemas import OBJECTS, REJECTS, SCHEMA_VERSION, SHARD, vectors_schema
from featurelib.datasets.shards import Manifest, RenderSpec
from featurelib.evaluation import BASELINES, detector_report, lifter_report, uncertainty_report
from featurelib.geometry import DEFAULT_RIG, Alignment
from featurelib.models.lifter.vectors import Vectors
from featurelib.models.predictions import PREDICTIONS
from featurelib.models.uncertainty.model import fit_uncertainty

PAGE = Path(__file__).parents[2] / "docs" / "records.md"
VIEWS = 1001
"""A number of views that does not occur elsewhere on the page."""


def section(heading: str) -> list[list[str]]:
    """The rows of the table below a heading of the page, without the header row and code marks."""
    [text] = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in row] for row in rows[2:]]


def text_of(kind: pa.DataType) -> str:
    """A type in the notation of the page."""
    if pa.types.is_fixed_size_list(kind):
        return f"{text_of(kind.value_type)}[{kind.list_size}]".replace(str(2 * VIEWS), "2 x views").replace(
            f"[{VIEWS}]", "[views]"
        )
    return {"float": "float32", "double": "float64"}.get(str(kind), str(kind))


def keys_of(values: object, prefix: str = "") -> set[str]:
    """The dotted paths of nested dictionaries."""
    if not isinstance(values, dict):
        return {prefix}
    return {path for key, value in values.items() for path in keys_of(value, f"{prefix}.{key}".strip("."))}


@pytest.mark.parametrize(
    ("heading", "schema"),
    [
        ("Shard", SHARD),
        ("Rejects", REJECTS),
        ("Vectors", vectors_schema(VIEWS)),
        ("Objects", OBJECTS),
        ("Predictions", PREDICTIONS),
    ],
)
def test_the_page_lists_every_column(heading, schema):
    """Names, types and order of each table are the same on the page and in the code, and each column has a meaning."""
    rows = section(heading)

    assert [(name, kind) for name, kind, _ in rows] == [(field.name, text_of(field.type)) for field in schema]
    assert all(meaning for *_, meaning in rows)


def test_the_page_lists_every_key_of_the_manifest():
    """manifest.json has exactly the keys of the page."""
    spec = RenderSpec("mm", Alignment(), "orthographic", 200.0, 64, DEFAULT_RIG, "raster")
    manifest = Manifest("uri", "dataset", "tragus", spec, {"train": 1}, {"train": 9}, 0, 1, ("shard-0.parquet",))

    values = manifest.to_dict()
    config = {f"config.{name}" for name in values.pop("config")}
    assert {key for key, _ in section("manifest.json")} == config | set(values)


def test_the_page_lists_every_key_of_the_report():
    """report.json has exactly the keys of the page, with the names in angle brackets filled in."""
    vectors = Vectors(
        np.array(["a"]), np.array(["test"]), *np.zeros((2, 1, 9, 2)), np.zeros((1, 2, 3)), np.zeros((1, 3))
    )
    names = {
        "projection": "orthographic",
        "statistic": ["mean", "median", "p95"],
        "view": list(map(str, range(9))),
        "method": BASELINES,
        "other": "mean_point",
        "compared": ["mean", "median"],
        "group": ["accepted", "rejected"],
        "object_id": "a",
    }
    residuals_mm, covariance_mm2 = np.ones((1, 2, 3)), np.broadcast_to(np.eye(3), (1, 2, 3, 3))
    uncertainty = fit_uncertainty(residuals_mm, covariance_mm2, [{"move": 1.0}])
    predictions = {method: np.zeros((1, 2, 3)) for method in BASELINES}
    report = {
        "schema": SCHEMA_VERSION,
        "objects": 1,
        "frame_mm": {"orthographic": 400.0},
        "detector": {"orthographic": detector_report(vectors, DEFAULT_RIG)},
        "lifter": {
            "orthographic": {
                **lifter_report(predictions, vectors, "template"),
                "uncertainty": uncertainty_report(
                    uncertainty, "template", ["a"], residuals_mm, covariance_mm2, ["odd"]
                ),
            }
        },
        "audit": {"leaks": [], "near_duplicates": []},
    }

    expected = {key for key, _ in section("report.json")}
    for name, values in names.items():
        choices = [values] if isinstance(values, str) else values
        expected = {key.replace(f"<{name}>", choice) for key in expected for choice in choices}
    assert keys_of(report) == expected


def test_a_view_keeps_its_numbers():
    """Landmarks, centre and pose are stored in double precision, positions in the image in single."""
    for name in ("left_mm", "right_mm", "centre_mm", "object_from_camera"):
        assert SHARD.field(name).type.value_type == pa.float64()
    for name in ("left_xy", "right_xy", "xy"):
        assert SHARD.field(name).type == pa.list_(pa.float32(), 2)
