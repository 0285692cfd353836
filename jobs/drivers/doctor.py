"""Check this machine, and the cluster that the command joins: one line per check, with the fix.

Checks are independent of each other. Those that load TensorFlow or OpenGL run in separate processes, because the two
libraries cannot share one.
"""

from collections.abc import Callable, Iterator

import ray

from featurelib.runtime.console import output_options, print_result
from featurelib.validation.machine.check import Check
from featurelib.validation.machine.files import check_dataset, check_run
from featurelib.validation.machine.networks import check_tensorflow
from featurelib.validation.machine.renderers import check_backend, check_gl, check_raster
from featurelib.validation.machine.system import (
    check_bytecode,
    check_disk,
    check_memory,
    check_node,
    check_packages,
    check_python,
    disk_folders,
)
from jobs.doctor import DoctorConfig
from jobs.workers import cluster


def run(config: DoctorConfig) -> None:
    """Print each check as soon as it is done, then the verdict.

    Raises:
        SystemExit: with code 1, if something needed is broken.
    """
    found = []
    for check in _checks(config):
        found.append(check)
        if not output_options().json:
            print_result(str(check))
    broken = [check for check in found if check.status == "broken" and check.is_needed]
    verdict = f"broken: {', '.join(check.name for check in broken)}" if broken else "everything needed works"
    print_result(verdict, {"checks": [check.to_dict() for check in found], "is_well": not broken})
    if broken:
        raise SystemExit(1)


def _checks(config: DoctorConfig) -> Iterator[Check]:
    yield check_python()
    yield check_packages()
    yield check_bytecode()
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
def ping() -> bool:
    """Return True."""
    return True


def check_ray() -> Check:
    """Run a task on the cluster, and list its resources."""
    try:
        cluster.connect()
        ray.get(ping.remote(), timeout=90)
        resources, nodes = ray.cluster_resources(), len(ray.nodes())
    except Exception as error:  # noqa: BLE001 (a broken installation, a wrong address and a full disk get one line)
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return Check(
            "Ray",
            "broken",
            reason,
            "close other programs and free /tmp, then try again; RAY_ADDRESS names a cluster to join",
        )
    gpus = f", {resources['GPU']:g} GPUs" if resources.get("GPU") else ""
    return Check("Ray", "ok", f"{ray.__version__}, {nodes} nodes, {resources.get('CPU', 0):g} CPUs{gpus}")
