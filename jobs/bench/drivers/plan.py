"""`featurelib bench plan`: time and memory to plan a large rendering or prediction."""

import itertools
import json
import logging
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from featurelib.datasets.dataset import objects_table
from featurelib.datasets.shards import RenderSpec, is_finished, num_buckets, plan_shards
from featurelib.geometry import DEFAULT_RIG, PROJECTIONS, Alignment, LandmarkSet, Projection
from featurelib.models.prediction_parts import (
    PredictionManifest,
    commit,
    parts_uri,
    plan_parts,
    read_receipts,
    write_part,
)
from featurelib.models.predictions import Failure, failure_rows
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from jobs.bench.plan import BenchPlanConfig

logger = logging.getLogger(__name__)

LANDMARKS = LandmarkSet.single_pair("tragus")


def run(config: BenchPlanConfig) -> None:
    """Plan a job on a simulated bucket and print the times.

    Raises:
        AssertionError: if a finished run is not recognised.
    """
    with tempfile.TemporaryDirectory() as folder:
        if config.predict:
            _plan_prediction(config, folder)
        else:
            _plan_rendering(config, folder)


def _plan_rendering(config: BenchPlanConfig, folder: str) -> None:
    listing, labels = simulated_listing(config.objects), simulated_labels(config.objects)
    before_mb, started = _peak_mb(), time.perf_counter()
    objects = objects_table(listing, labels, LANDMARKS, splits={}).table
    read = time.perf_counter()
    specs: dict[str, RenderSpec] = {projection: _spec(projection) for projection in PROJECTIONS}
    plans = plan_shards(objects, LANDMARKS, specs, num_buckets(len(objects)))
    planned = time.perf_counter()
    for projection in PROJECTIONS:
        names = [plan.names[projection] for plan in plans]
        _write_manifest(folder, names)
        present = {"manifest.json", *names}
        if not is_finished(folder, present, names):
            raise AssertionError("a finished run was not recognised")
    checked = time.perf_counter()
    calls = -(-config.objects // 1000) + len(PROJECTIONS) * -(-len(plans) // 1000)
    print_result(f"{config.objects} objects, {len(plans)} shards per projection, {calls} list calls of 1,000 names")
    print_result(f"table {read - started:.1f} s, plan {planned - read:.1f} s, check {checked - planned:.1f} s")
    print_result(
        f"total {checked - started:.1f} s; peak memory {_peak_mb():.0f} MB, of which {before_mb:.0f} MB before"
    )


def _plan_prediction(config: BenchPlanConfig, folder: str) -> None:
    """Plan a prediction, read the receipts of all its parts as a resumed job does, and commit."""
    listing = simulated_listing(config.objects)
    before_mb, started = _peak_mb(), time.perf_counter()
    objects = objects_table(listing, None, LANDMARKS).table
    read = time.perf_counter()
    plans = plan_parts(objects, [_spec(PROJECTIONS[0]).to_dict(), ["version"]])
    planned, planned_mb = time.perf_counter(), _peak_mb()
    logger.info("bench: writing %s parts", len(plans))
    for plan in plans:
        ids = plan.objects["object_id"].to_pylist()
        rows = [row for i in ids for row in failure_rows(i, Failure("load", "simulated"), LANDMARKS.names)]
        write_part(storage.join(parts_uri(folder), plan.name), rows)
    with simulated_requests(config.request_ms / 1000) as requests:
        begun = time.perf_counter()
        receipts = read_receipts(folder, [plan.name for plan in plans])
        have_receipts = time.perf_counter()
        commit(folder, PredictionManifest.of("s3://bucket/objects", {}, receipts))
        committed = time.perf_counter()
    if sum(receipt.objects for receipt in receipts) != config.objects:
        raise AssertionError("the parts do not hold all objects")
    print_result(f"{config.objects} objects, {len(plans)} parts, {next(requests)} requests of {config.request_ms:g} ms")
    print_result(f"table {read - started:.1f} s, plan {planned - read:.1f} s; together {planned - started:.1f} s")
    print_result(f"gather {have_receipts - begun:.1f} s, commit {committed - have_receipts:.1f} s")
    print_result(
        f"peak memory {planned_mb:.0f} MB by the plan, of which {before_mb:.0f} MB before; {_peak_mb():.0f} MB at last"
    )


@contextmanager
def simulated_requests(seconds: float) -> Iterator[Iterator[int]]:
    """Let each request to the local disk take some time; yields an iterator whose next value is their number."""
    number = itertools.count()

    def slow(request: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            next(number)
            time.sleep(seconds)
            return request(*args)

        return run

    requests = {name: getattr(storage, name) for name in ("read_bytes", "write_bytes", "list_files", "delete")}
    try:
        for name, request in requests.items():
            setattr(storage, name, slow(request))
        yield number
    finally:
        for name, request in requests.items():
            setattr(storage, name, request)


def _spec(projection: Projection) -> RenderSpec:
    return RenderSpec(
        unit="mm",
        alignment=Alignment(),
        projection=projection,
        frame_mm=400.0,
        image_size=512,
        rig=DEFAULT_RIG,
        backend="raster",
    )


def simulated_listing(count: int) -> Iterator[storage.Entry]:
    """Yield the entries of a bucket of `count` meshes."""
    return (storage.Entry(f"object-{i:07d}.ply", 600_000, f"etag:{i:032x}") for i in range(count))


def simulated_labels(count: int) -> bytes:
    """Return a landmarks.csv of `count` rows."""
    rows = "".join(f"object-{i:07d},70.{i % 977},10.5,3.25,-70.{i % 983},10.25,3.5\n" for i in range(count))
    return f"object_id,left_x,left_y,left_z,right_x,right_y,right_z\n{rows}".encode()


def _write_manifest(folder: str, names: Sequence[str]) -> None:
    storage.write_bytes(storage.join(folder, "manifest.json"), json.dumps({"shards": list(names)}).encode())


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
