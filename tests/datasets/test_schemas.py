import math
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from featurelib.datasets.schemas import REJECTS, SCHEMA_VERSION, objects_schema, shard_schema, vectors_schema
from featurelib.datasets.shards import Manifest, RenderSpec
from featurelib.evaluation import (
    BASELINES,
    Answers,
    detector_report,
    landmarks_report,
    lifter_report,
    pairs_report,
    presence_report,
    uncertainty_report,
)
from featurelib.geometry import DEFAULT_RIG, Alignment, LandmarkSet
from featurelib.models.lifter.vectors import Vectors
from featurelib.models.predictions import PREDICTIONS
from featurelib.models.uncertainty.model import fit_uncertainty
from jobs.drivers.evaluated import PER_OBJECT

PAGE = Path(__file__).parents[2] / "docs" / "records.md"
VIEWS = 1001
LANDMARKS = LandmarkSet(tuple((f"left-{i}", f"right-{i}") for i in range(51)), midline=("nose",))
"""Numbers of views, landmarks and slots that do not occur elsewhere on the page."""

COUNTS = {"landmarks": 103, "slots": 52, "views": VIEWS}
SIZES = {
    math.prod([factor, *(COUNTS[name] for name in names)]): " x ".join([*[str(factor)] * (factor > 1), *names])
    for factor in (1, 2, 3)
    for names in (["landmarks"], ["slots"], ["slots", "views"], ["views", "landmarks"])
}
"""The sizes of lists in the notation of the page."""


def section(heading: str) -> list[list[str]]:
    """The rows of the table below a heading of the page, without the header row and code marks."""
    [text] = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in row] for row in rows[2:]]


def text_of(kind: pa.DataType) -> str:
    """A type in the notation of the page."""
    if pa.types.is_fixed_size_list(kind):
        return f"{text_of(kind.value_type)}[{SIZES.get(kind.list_size, kind.list_size)}]"
    return {"float": "float32", "double": "float64"}.get(str(kind), str(kind))


def keys_of(values: object, prefix: str = "") -> set[str]:
    """The dotted paths of nested dictionaries."""
    if not isinstance(values, dict):
        return {prefix}
    return {path for key, value in values.items() for path in keys_of(value, f"{prefix}.{key}".strip("."))}


@pytest.mark.parametrize(
    ("heading", "schema"),
    [
        ("Shard", shard_schema(LANDMARKS)),
        ("Rejects", REJECTS),
        ("Vectors", vectors_schema(LANDMARKS, VIEWS)),
        ("Objects", objects_schema(103)),
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
    manifest = Manifest("uri", "dataset", LANDMARKS, spec, {"train": 1}, {"train": 9}, 0, 1, ("shard-0.parquet",))

    values = manifest.to_dict()
    config = {f"config.{name}" for name in values.pop("config")}
    assert {key for key, _ in section("manifest.json")} == config | set(values)


def test_the_page_lists_every_key_of_the_report():
    """report.json has exactly the keys of the page, with the names in angle brackets filled in."""
    landmarks = LandmarkSet((("left", "right"),), midline=("nose",))
    shape = 1, 2, 9, 2  # one object, two slots, nine views
    vectors = Vectors(
        landmarks,
        np.array(["a"]),
        np.array(["test"]),
        np.zeros(shape),
        np.zeros(shape),
        np.random.default_rng(0).normal(size=(1, 3, 3)),
        np.zeros((1, 3), bool),
        np.zeros((1, 3)),
    )
    names = {
        "projection": "orthographic",
        "statistic": ["mean", "median", "p95"],
        "view": list(map(str, range(9))),
        "compared method": "template",
        "method": BASELINES,
        "other": "mean_point",
        "compared": ["mean", "median"],
        "group": ["accepted", "rejected"],
        "presence": ["absent_found", "absent_missed", "present_found", "present_missed"],
        "landmark": landmarks.names,
        "object_id": "a",
    }
    flags = np.ones((1, 3), bool)
    covariance_mm2 = np.broadcast_to(np.eye(3), (1, 3, 3, 3))
    answers = Answers(["a"], np.ones((1, 3, 3)), covariance_mm2, flags, ["odd"], flags, flags)
    uncertainty = fit_uncertainty(answers.residuals_mm, covariance_mm2, [{"move": 1.0}])
    predictions = dict.fromkeys(BASELINES, vectors.landmarks_mm + 1)
    report = {
        "schema": SCHEMA_VERSION,
        "objects": 1,
        "landmarks": list(landmarks.names),
        "frame_mm": {"orthographic": 400.0},
        "detector": {"orthographic": detector_report(vectors, DEFAULT_RIG)},
        "lifter": {
            "orthographic": {
                **lifter_report(predictions, vectors, "template"),
                "uncertainty": uncertainty_report(uncertainty, "template", answers),
                "presence": presence_report(answers),
                "landmarks": landmarks_report(uncertainty, landmarks, answers),
                "pairs": pairs_report(answers.errors_mm, landmarks),
            }
        },
        "audit": {"leaks": [], "near_duplicates": []},
        "learning_curve": None,
        "repeats": None,
    }

    expected = {key for key, _ in section("report.json")}
    for name, values in names.items():
        choices = [values] if isinstance(values, str) else values
        expected = {key.replace(f"<{name}>", choice) for key in expected for choice in choices}
    assert keys_of(report) == expected


def test_the_page_lists_the_columns_of_per_object():
    """The table of all answers has exactly the columns of the page, in their order."""
    assert [name for name, _ in section("per_object.csv")] == list(PER_OBJECT)


def test_a_view_keeps_its_numbers():
    """Landmarks, centre and pose are stored in double precision, positions in the image in single."""
    schema = shard_schema(LANDMARKS)
    for name in ("landmarks_mm", "centre_mm", "object_from_camera"):
        assert schema.field(name).type.value_type == pa.float64()
    assert schema.field("landmarks_xy").type == pa.list_(pa.float32(), 206)


def test_a_single_pair_has_the_smallest_vectors():
    """18 values in and 6 out in nine views."""
    schema = vectors_schema(LandmarkSet.single_pair("ear"), 9)

    assert (schema.field("xy").type.list_size, schema.field("target_mm").type.list_size) == (18, 6)
