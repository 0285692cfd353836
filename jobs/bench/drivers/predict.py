"""`featurelib bench predict`: objects per second of the whole job, and the CPU time of its stages."""

import logging
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import psutil

from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.datasets.shards.sandboxed import PrepareJob, prepare_mesh
from featurelib.errors import DataError
from featurelib.models.lifter.files import read_template
from featurelib.models.prediction_parts import plan_parts
from featurelib.runtime.console import print_result
from featurelib.runtime.sandbox import SandboxLimits
from jobs.bench.footprint import Footprint
from jobs.bench.predict import BenchPredictConfig
from jobs.drivers.predict import choose_models
from jobs.workers import cluster
from jobs.workers.predict import PartPredictor, part_stream
from jobs.workers.prepare import Models, Predicting

logger = logging.getLogger(__name__)

ROLES = {"make_part": "worker", "driver": "driver"}
"""Roles by a part of the process title. Sandboxed processes are omitted, because their memory is limited."""

STAGES = ("load, render and encode", "register", "detect", "refine")


@dataclass(frozen=True)
class JobTiming:
    """The timing of one job.

    Attributes:
        workers: Number of workers.
        objects: Number of objects.
        start_s: Seconds until the first part was written.
        seconds: Seconds until the end.
        peak_mb: Peak private memory by role, in the first and in the second half of the objects.
    """

    workers: int
    objects: int
    start_s: float
    seconds: float
    peak_mb: tuple[Mapping[str, float], Mapping[str, float]]

    @property
    def rate(self) -> float:
        """Objects per second, including the start."""
        return self.objects / self.seconds

    def of_cores(self, object_ms: float, cores: int) -> float:
        """Return the rate over the rate of cores that run the stages only."""
        return self.rate / (min(self.workers, cores) * 1000 / object_ms)


def run(config: BenchPredictConfig) -> None:
    """Measure the stages and the job for each number of workers, and print the tables."""
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray runs workers at niceness 15, the stages alone run at 0
    dataset = open_dataset(config.dataset, labelled=False)
    models = choose_models(config.run, config.projection, dataset)
    cluster.connect_for_data()
    cores = psutil.cpu_count() or 1
    costs_ms, timings = {}, []
    for workers in config.workers or (cluster.num_cpus(),):
        logger.info("bench: %s workers", workers)
        costs_ms[workers] = costs_of_stages_ms(dataset, models, config.sample, min(workers, cores))
        timings.append(measure(dataset, models, workers))
    print_costs(costs_ms)
    print_timings(timings, {workers: sum(costs.values()) for workers, costs in costs_ms.items()}, cores)


def costs_of_stages_ms(dataset: Dataset, models: Models, sample: int, processes: int) -> dict[str, float]:
    """Return the mean CPU milliseconds per object by stage, measured in `processes` parallel processes.

    Cores that share caches and memory slow each other down: with two busy cores an object takes a fifth longer.
    """
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(stage_costs_ms, dataset, models, sample) for _ in range(processes)]
        found = [each.result() for each in waiting]
    return {stage: statistics.mean(costs[stage] for costs in found) for stage in STAGES}


def stage_costs_ms(dataset: Dataset, models: Models, sample: int) -> dict[str, float]:
    """Return the CPU milliseconds per object by stage, on one thread after a warm-up.

    Raises:
        DataError: if none of the objects can be read.
    """
    part_predictor = PartPredictor(models, out="")
    template = read_template(models.run, models.spec.projection)
    jobs = [
        PrepareJob(dataset.mesh_uri(row["mesh"]), models.spec, template, row["rotation_wxyz"])
        for row in dataset.objects.slice(0, sample).to_pylist()
    ]
    laps: list[float] = []
    for _ in range(2):  # the first round is the warm-up
        laps = [time.process_time()]
        prepared = [mesh for mesh in map(prepare_mesh, jobs) if not isinstance(mesh, str)]
        laps.append(time.process_time())
        for mesh in prepared:
            part_predictor.predictor.locate(mesh.mesh)
        laps.append(time.process_time())
        detections = list(part_predictor.detect(prepared))
        laps.append(time.process_time())
        for mesh, detection in zip(prepared, detections, strict=True):
            part_predictor.predictor(mesh.mesh, detection, mesh.located)
        laps.append(time.process_time())
        if not prepared:
            raise DataError(f"{dataset.uri}: none of the first {sample} meshes can be read; give another --dataset")
    costs_s = np.diff(laps)
    costs_s[0] -= costs_s[1]  # prepare_mesh also registers
    return {stage: 1000 * float(cost) / len(prepared) for stage, cost in zip(STAGES, costs_s, strict=True)}


def measure(dataset: Dataset, models: Models, workers: int) -> JobTiming:
    """Predict all objects into a temporary folder and return the timing."""
    total, done, peaks = len(dataset.objects), 0, []
    with tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        ended: list[float] = []
        limits = SandboxLimits(seconds=120, memory_mb=8192)
        parts = [(plan, ()) for plan in plan_parts(dataset.objects, models.made_by)]
        made = part_stream(Predicting.of(dataset, models, out, limits), parts, workers)
        for objects in (total // 2, total):
            with Footprint(ROLES, pause_s=5.0) as footprint:  # long, so that sampling costs 1 %
                while done < objects:
                    done += next(made).receipt.objects
                    ended.append(time.perf_counter() - started)
            peaks.append(footprint.peak_mb)
        next(made, None)  # lets the stream close
    return JobTiming(workers=workers, objects=total, start_s=ended[0], seconds=ended[-1], peak_mb=(peaks[0], peaks[1]))


def print_costs(costs_ms: Mapping[int, Mapping[str, float]]) -> None:
    """Print the CPU time per object by stage, for each number of workers."""
    for workers, costs in costs_ms.items():
        total = sum(costs.values())
        print_result(f"\n{f'one object, {workers} workers':26}{'CPU ms':>8}{'share':>8}")
        for stage, cost in costs.items():
            print_result(f"{stage:26}{cost:8.1f}{100 * cost / total:7.0f}%")
        print_result(f"{'all':26}{total:8.1f}, {1000 / total:.2f} objects per second and core")


def print_timings(timings: list[JobTiming], object_ms: Mapping[int, float], cores: int) -> None:
    """Print the timing of each job, the ratio to its stages alone, and the peak memory of its roles."""
    print_result(
        f"\n{'workers':>8}{'objects':>9}{'seconds':>9}{'start s':>9}{'objects/s':>11}{'of the stages alone':>21}"
    )
    for job in timings:
        print_result(
            f"{job.workers:8}{job.objects:9}{job.seconds:9.1f}{job.start_s:9.1f}{job.rate:11.2f}"
            f"{job.of_cores(object_ms[job.workers], cores):21.2f}"
        )
    print_result("\npeak private memory in MB, first half and second half of the objects")
    for job in timings:
        early, late = job.peak_mb
        roles = [role for role in ROLES.values() if role in early and role in late]
        print_result(
            f"{job.workers:8} workers: {'; '.join(f'{role} {early[role]:.0f}, {late[role]:.0f}' for role in roles)}"
        )
