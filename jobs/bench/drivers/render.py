"""`featurelib bench render`: renderers against each other, and the whole job against a bare loop."""

import itertools
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import psutil

from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.datasets.landmark_table import write_landmarks
from featurelib.datasets.shards import RenderSpec, decode_png, encode_png
from featurelib.datasets.shards.frame import FrameJob, needed_frames_mm
from featurelib.datasets.shards.sandboxed import ObjectJob, render_object
from featurelib.datasets.synthetic import write_dataset
from featurelib.errors import UsageError
from featurelib.geometry import DEFAULT_RIG, PROJECTIONS
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from jobs.bench.render import BenchRenderConfig
from jobs.bench.renderers import Step, rate, views_per_second
from jobs.bench.renders import render_silently
from jobs.bench.tables import SPREAD, cells, spread
from jobs.render import RenderConfig
from jobs.workers import cluster

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


def run(config: BenchRenderConfig) -> None:
    """Measure the renderers, the bare loop and the job, and print the tables."""
    processes = config.processes or psutil.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        dataset = _dataset(config.dataset, folder)
        _print_variants(config, dataset, processes)
        specs = _specs(dataset, config.image_size)
        loops = [_print_loop(config, dataset, specs, processes)]
        if config.job:
            few = repeated(dataset, 16 * (psutil.cpu_count() or 1), Path(folder, "few"))
            whole = repeated(dataset, config.objects, Path(folder, "whole")) if config.objects else dataset
            rate = _print_job(config, few, whole, specs, Path(folder, "run"))
            loops.append(_print_loop(config, dataset, specs, processes))
            print_result(f"the job is at {rate / statistics.mean(loops):.2f} of the bare loop, before and after it")


def _dataset(uri: str | None, folder: str) -> Dataset:
    if uri is None:
        logger.info("bench: making 40 synthetic bodies")
        write_dataset(Path(folder, "bodies"), 40)
    return open_dataset(uri or f"{folder}/bodies")


def repeated(dataset: Dataset, count: int, folder: Path) -> Dataset:
    """Return a dataset of `count` objects: those of a local dataset under other names, their meshes as links.

    Raises:
        UsageError: if the dataset is not local.
    """
    if storage.is_s3(dataset.uri):
        raise UsageError(f"--dataset {dataset.uri}: expected a local folder")
    rows = [row for row in dataset.objects.to_pylist() if row["mesh"]]
    source, points = Path(dataset.uri), {}
    (folder / "meshes").mkdir(parents=True)
    for i, row in enumerate(itertools.islice(itertools.cycle(rows), count)):
        mesh = Path(row["mesh"])
        (folder / "meshes" / f"copy-{i:07d}{''.join(mesh.suffixes)}").symlink_to(source / "meshes" / mesh)
        points[f"copy-{i:07d}"] = row["landmarks"]
    (folder / "dataset.json").write_bytes((source / "dataset.json").read_bytes())
    (folder / "landmarks.csv").write_bytes(write_landmarks(dataset.landmarks, points))
    return open_dataset(str(folder))


def _specs(dataset: Dataset, image_size: int) -> dict[str, RenderSpec]:
    file = next(iter(dataset.files.values()))
    to_object = dataset.object_from_source_of(file.rotation_wxyz)
    job = FrameJob(dataset.mesh_uri(file.name), to_object, DEFAULT_RIG, PROJECTIONS)
    needed_mm = needed_frames_mm(job)
    if needed_mm is None:
        raise UsageError(f"{job.mesh_uri}: cannot be read; give a --dataset of good meshes")
    return {
        projection: RenderSpec(
            unit=dataset.unit,
            alignment=dataset.alignment,
            projection=projection,
            frame_mm=1.5 * needed_mm[projection],
            image_size=image_size,
            rig=DEFAULT_RIG,
            backend="raster",
        )
        for projection in PROJECTIONS
    }


def _print_variants(config: BenchRenderConfig, dataset: Dataset, processes: int) -> None:
    """Print each renderer's rate; repeats alternate between the renderers, so a slow minute affects all."""
    meshes = [dataset.load(file) for file in [*dataset.files.values()][:8]]
    rates: dict[str, list[float]] = {variant: [] for variant in config.variants}
    for variant in itertools.chain.from_iterable(itertools.repeat(config.variants, config.repeats)):
        logger.info("bench: %s, %s processes", variant, processes)
        rates[variant].append(
            views_per_second(variant, meshes, size=config.image_size, processes=processes, seconds=config.seconds)
        )
    slowest = statistics.median(rates.get("pyrender-default") or min(rates.values(), key=statistics.median))
    faces = int(statistics.median(len(mesh.faces) for mesh in meshes))
    print_result(f"\nviews per second, {faces} faces, {config.image_size} px, both projections, {processes} processes")
    print_result(f"{'renderer':20}{SPREAD}{'per core':>10}{'ratio':>8}")
    for variant, found in rates.items():
        median, lowest, highest = spread(found)
        print_result(f"{variant:20}{cells((median, lowest, highest, median / processes))}{median / slowest:8.1f}")


def _print_loop(config: BenchRenderConfig, dataset: Dataset, specs: dict[str, RenderSpec], processes: int) -> float:
    """Print the rate of the bare loop and its shares of time; return views per second over all processes."""
    jobs = _object_jobs(dataset, specs)
    found = [rate(object_step, (jobs,), processes=processes, seconds=config.seconds) for _ in range(config.repeats)]
    views, lowest, highest = spread(found)
    print_result(f"\nbare loop (load, render, label, encode): {views:.0f} views/s in {processes} processes")
    shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in _shares(jobs).items())
    print_result(f"range {lowest:.0f} to {highest:.0f}; {shares}")
    return views


def _object_jobs(dataset: Dataset, specs: dict[str, RenderSpec]) -> list[ObjectJob]:
    return [
        ObjectJob(row, dataset.landmarks, dataset.mesh_uri(row["mesh"]), specs)
        for row in dataset.objects.to_pylist()
        if row["mesh"]
    ]


def object_step(jobs: Sequence[ObjectJob]) -> Step:
    """Return a step that makes the rows of the next object and returns the number of its views."""
    cycle = itertools.cycle(jobs)
    return lambda: sum(len(rows) for rows in render_object(next(cycle)).outcomes.values())


def _shares(jobs: Sequence[ObjectJob]) -> dict[str, float]:
    """Return the shares of the CPU time per object: loading, encoding, and the rest (rendering and labels)."""
    sample = jobs[:10]
    render_object(sample[0])
    total, outcomes = _cpu_s(lambda: [render_object(job) for job in sample])
    load, _ = _cpu_s(lambda: [needed_frames_mm(_load_job(job)) for job in sample])
    views = [row for found in outcomes for rows in found.outcomes.values() if isinstance(rows, list) for row in rows]
    images = [decode_png(row["png"]) for row in views]
    encode, _ = _cpu_s(lambda: [encode_png(pixels) for pixels in images])
    return {"load": load / total, "PNG": encode / total, "render and label": 1 - (load + encode) / total}


def _load_job(job: ObjectJob) -> FrameJob:
    """Return a job that loads the mesh and computes nothing."""
    return FrameJob(str(job.mesh_uri), next(iter(job.specs.values())).object_from_source, DEFAULT_RIG, ())


def _cpu_s(work: Callable[[], Result]) -> tuple[float, Result]:
    """Return the CPU seconds of some work, and its result."""
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def _print_job(
    config: BenchRenderConfig, few: Dataset, dataset: Dataset, specs: dict[str, RenderSpec], run: Path
) -> float:
    """Print the rate of the whole job on a warm cluster, after one on a few objects, and return it."""
    cluster.connect_for_data()
    frame_mm = max(spec.frame_mm for spec in specs.values())
    flags = RenderConfig(
        dataset=dataset.uri, run=str(run), image_size=config.image_size, frame_mm=frame_mm, backend="raster"
    )
    # A new cluster is still starting processes.
    render_silently(replace(flags, run=f"{run}-few", projections=("orthographic",), image_size=16, dataset=few.uri))
    started = time.perf_counter()
    render_silently(flags)
    seconds = time.perf_counter() - started
    views = len(PROJECTIONS) * len(DEFAULT_RIG) * len(dataset.objects)
    print_result(f"whole job: {views} views in {seconds:.1f} s, {views / seconds:.0f} views/s")
    return views / seconds
