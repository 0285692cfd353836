"""`featurelib bench plan`: time and memory to plan a large rendering."""

import json
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence

from featurelib.datasets.dataset import objects_table
from featurelib.datasets.shards import RenderSpec, is_finished, num_buckets, plan_shards
from featurelib.geometry import DEFAULT_RIG, PROJECTIONS, Alignment
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from jobs.bench.plan import BenchPlanConfig


def run(config: BenchPlanConfig) -> None:
    """Plan the rendering of a simulated bucket and print the times.

    Raises:
        AssertionError: if a finished run is not recognised.
    """
    with tempfile.TemporaryDirectory() as folder:
        listing, labels = simulated_listing(config.objects), simulated_labels(config.objects)
        before_mb, started = _peak_mb(), time.perf_counter()
        objects = objects_table(listing, labels)
        read = time.perf_counter()
        specs: dict[str, RenderSpec] = {
            projection: RenderSpec(
                unit="mm",
                alignment=Alignment(),
                projection=projection,
                frame_mm=400.0,
                image_size=512,
                rig=DEFAULT_RIG,
                backend="raster",
            )
            for projection in PROJECTIONS
        }
        plans = plan_shards(objects, specs, num_buckets(len(objects)))
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
