"""What this machine, or the cluster that the command joins, can do: one line a check, with the fix.

Each check stands alone: what is broken costs its own line. Those that load TensorFlow or OpenGL run in processes of
their own, since the two do not share one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import ray

from featurelib.runtime import cli
from featurelib.runtime.console import output_options, print_result
from featurelib.validation.machine.check import Check
from featurelib.validation.machine.drawing import check_backend, check_gl, check_raster
from featurelib.validation.machine.files import check_dataset, check_run
from featurelib.validation.machine.machine import (
    check_disk,
    check_memory,
    check_node,
    check_packages,
    check_python,
    disk_folders,
)
from featurelib.validation.machine.networks import check_tensorflow
from jobs.workers import cluster


@cli.config
@dataclass(frozen=True, kw_only=True)
class DoctorConfig:
    """What to look at besides the machine.

    Attributes:
        dataset: Folder or s3:// URI of a dataset that is to be readable.
        run: Folder or s3:// URI of a run that is to be writable.
    """

    dataset: str | None = None
    run: str | None = None


DEFAULTS = DoctorConfig()


def doctor(config: DoctorConfig = DEFAULTS) -> None:
    """Say what this machine can do: each line ok, slow or broken, with the fix. Takes about half a minute.

    Ends with code 1 if something needed is broken.

    Example: featurelib doctor --run s3://bucket/runs/heads
    """
    found = []
    for check in _checks(config):
        found.append(check)
        if not output_options().json:
            print_result(str(check))
    broken = [check for check in found if check.status == "broken" and check.is_needed]
    verdict = f"{len(broken)} things needed are broken" if broken else "all that is needed works"
    print_result(verdict, {"checks": [check.to_dict() for check in found], "is_well": not broken})
    if broken:
        raise SystemExit(1)


def _checks(config: DoctorConfig) -> Iterator[Check]:
    yield check_python()
    yield check_packages()
    yield check_memory()
    for folder in disk_folders([uri for uri in (config.run,) if uri]):
        yield check_disk(folder)
    yield check_ray()
    yield check_tensorflow()
    yield check_backend()
    yield check_raster()
    yield check_gl()
    given: list[tuple[str | None, Callable[[str], Check]]] = [(config.dataset, check_dataset), (config.run, check_run)]
    yield from (check(uri) for uri, check in given if uri)
    yield check_node()


@ray.remote(num_cpus=1)
def answer() -> bool:
    """Answer."""
    return True


def check_ray() -> Check:
    """Return what the cluster has, once a task has run on it."""
    try:
        cluster.connect()
        ray.get(answer.remote(), timeout=90)
        resources, nodes = ray.cluster_resources(), len(ray.nodes())
    except Exception as error:  # noqa: BLE001 (a broken installation, a wrong address and a full disk get one line)
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return Check(
            "Ray", "broken", reason, "is the machine busy, or /tmp full? try again; RAY_ADDRESS names a cluster to join"
        )
    gpus = f", {resources['GPU']:g} GPUs" if resources.get("GPU") else ""
    return Check("Ray", "ok", f"{ray.__version__}, {nodes} nodes, {resources.get('CPU', 0):g} CPUs{gpus}")


if __name__ == "__main__":
    cli.run(cli.single_command(doctor, "doctor"))
