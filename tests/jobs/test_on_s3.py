"""Every URI in an object store, over real HTTP: OpenStack Swift, as it should be and behind a proxy that fails."""

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from featurelib.runtime import storage
from jobs.predict import PredictConfig, predict

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


def command(store, name, **flags):
    """Run a command as a user does, in a process with a Ray of its own; return what it said."""
    told = [
        text
        for flag, value in flags.items()
        for text in (f"--{flag.replace('_', '-')}", *map(str, value if isinstance(value, tuple) else (value,)))
    ]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"} | store.environment
    line = [sys.executable, "-m", "featurelib", name, *told]
    ended = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=1800)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout


def upload(folder: Path, uri: str) -> None:
    """Copy a folder's files."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            storage.write_bytes(storage.join(uri, *path.relative_to(folder).parts), path.read_bytes())


def flags_of(config) -> dict:
    """The flags that differ from their defaults."""
    values = {field.name: (getattr(config, field.name), field.default) for field in fields(config)}
    return {name: value for name, (value, default) in values.items() if value != default}


def read_json(uri: str):
    return json.loads(storage.read_bytes(uri))


def predictions(uri: str):
    return pq.read_table(io.BytesIO(storage.read_bytes(storage.join(uri, "predictions.parquet"))))


def curve(uri: str) -> np.ndarray:
    """The figures of metrics.csv."""
    rows = csv.DictReader(storage.read_bytes(uri).decode().splitlines())
    return np.array([[float(row[name]) for name in ("loss", "val_loss", "val_error_pct")] for row in rows])


@pytest.fixture(scope="module")
def expected(cluster, run, bodies, tmp_path_factory):
    """What `predict` says of the bodies with everything on local disk."""
    out = tmp_path_factory.mktemp("expected")
    predict(PredictConfig(dataset=str(bodies), run=str(run), out=str(out)))
    return predictions(str(out))


def test_the_whole_path_on_s3_ends_as_on_disk(swift, use_store, bodies, recipe, run, expected):
    """Dataset, run and predictions in a bucket: the same shards, the same curve, the same report, the same answers."""
    dataset, there, out = (f"s3://bucket/whole/{name}" for name in ("bodies", "run", "out"))
    with use_store(swift):
        upload(bodies, dataset)
        flags = {**flags_of(recipe), "dataset": dataset, "run": there}
        command(swift, "render", dataset=dataset, run=there, image_size=recipe.image_size)
        command(swift, "pipeline", **flags)
        command(swift, "predict", dataset=dataset, run=there, out=out)
        for projection in ("orthographic", "perspective"):
            shards = [path.name for path in sorted((run / "renders" / projection).glob("shard-*"))]
            manifest = read_json(f"{there}/renders/{projection}/manifest.json")
            local = json.loads((run / "renders" / projection / "manifest.json").read_text())
            assert manifest["objects"] == local["objects"]
            assert len(manifest["shards"]) == len(shards)
        metrics = "detector/orthographic/metrics.csv"
        np.testing.assert_allclose(curve(f"{there}/{metrics}"), curve(str(run / metrics)), rtol=1e-3)
        report, local = (read_json(storage.join(uri, "report", "report.json")) for uri in (there, str(run)))
        assert report["objects"] == local["objects"]
        assert list(report["lifter"]["orthographic"]["test"]) == list(local["lifter"]["orthographic"]["test"])
        assert predictions(out)["object_id"].to_pylist() == expected["object_id"].to_pylist()
        assert "nothing to do" in command(swift, "render", dataset=dataset, run=there, image_size=recipe.image_size)


def test_a_store_that_fails_changes_no_result(swift, faulty_swift, use_store, bodies, recipe, run, expected):
    """5 % of requests refused or cut off, 2 % late: rendering, training and predicting end with what they should."""
    store, faults = faulty_swift
    dataset, there, done, out = (f"s3://bucket/faults/{name}" for name in ("bodies", "run", "done", "out"))
    with use_store(swift):
        upload(bodies, dataset)
        upload(run, done)
    command(store, "render", dataset=dataset, run=there, image_size=recipe.image_size)
    names = ("head", "weights", "alpha", "input_size", "epochs", "batch_size")
    command(store, "train-detector", run=there, **{name: getattr(recipe, name) for name in names})
    command(store, "predict", dataset=dataset, run=done, out=out)
    with use_store(swift):
        for projection in ("orthographic", "perspective"):
            local = json.loads((run / "renders" / projection / "manifest.json").read_text())
            manifest = read_json(f"{there}/renders/{projection}/manifest.json")
            assert manifest["views"] == local["views"]
            stored = [pq.read_table(io.BytesIO(storage.read_bytes(uri))) for uri in shards_of(there, projection)]
            on_disk = [pq.read_table(uri) for uri in shards_of(str(run), projection)]
            assert rows(stored) == rows(on_disk)
        metrics = "detector/orthographic/metrics.csv"
        np.testing.assert_allclose(curve(f"{there}/{metrics}"), curve(str(run / metrics)), rtol=1e-3)
        assert predictions(out).equals(expected)
    counts = faults()
    assert min(counts[fault] for fault in ("refused", "cut", "delayed")) > 0, counts


def shards_of(uri: str, projection: str) -> list[str]:
    """The URIs of the shards that a manifest names."""
    folder = storage.join(uri, "renders", projection)
    return [storage.join(folder, name) for name in read_json(storage.join(folder, "manifest.json"))["shards"]]


def rows(tables) -> dict:
    """The images by object and view, each once."""
    found = [(row["object_id"], row["view"], row["png"]) for table in tables for row in table.to_pylist()]
    assert len(found) == len({row[:2] for row in found})
    return {row[:2]: row[2] for row in found}
