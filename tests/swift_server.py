"""OpenStack Swift with its S3 API, all four servers in one process: `FOLDER PORT`, in a Python that has swift.

FOLDER holds its files and the generated configuration. Keys: test:tester and testing. It rejects wrong keys, accepts
uploads in parts and lists names in pages, as production stores do.
"""

import configparser
import sys
from pathlib import Path

SERVERS = ("account", "container", "object")

PIPELINE = "gatekeeper cache listing_formats s3api tempauth slo proxy-server"

FILTERS = {
    "cache": {"paste.filter_factory": "__main__:cache_factory"},
    "tempauth": {"user_test_tester": "testing .admin"},
    "s3api": {"auth_pipeline_check": "false", "location": "us-east-1"},
}
"""Settings of filters that differ from the defaults."""


class Cache(dict):
    """A replacement of memcached for one process."""

    def set(self, key, value, **_):
        self[key] = value

    def incr(self, key, delta=1, **_):
        self[key] = self.get(key, 0) + delta
        return self[key]

    def get(self, key, default=None, **_):
        return super().get(key, default)

    def delete(self, key, **_):
        self.pop(key, None)


def cache_factory(_, **__):
    """Return a filter that gives every request the cache."""
    cache = Cache()
    return lambda app: lambda env, answer: app({**env, "swift.cache": cache}, answer)


def write_config(path: Path, sections: dict) -> None:
    parser = configparser.RawConfigParser()
    parser.read_dict(sections)
    with path.open("w") as file:
        parser.write(file)


def configure(folder: Path) -> None:
    """Write swift.conf, a ring of one disk for each kind of server, and their configurations."""
    etc = folder / "etc"
    for path in (etc, folder / "disks" / "d1"):
        path.mkdir(parents=True, exist_ok=True)
    policy = {"name": "only", "default": "yes"}
    write_config(etc / "swift.conf", {"swift-hash": {"swift_hash_path_suffix": "tests"}, "storage-policy:0": policy})
    shared = {"swift_dir": etc, "devices": folder / "disks", "mount_check": "false", "fallocate_reserve": "0"}
    patience = {"conn_timeout": "10", "node_timeout": "60", "container_update_timeout": "60"}
    for name in SERVERS:
        sections = {"DEFAULT": {**shared, **patience}, "pipeline:main": {"pipeline": "it"}}
        write_config(etc / f"{name}.conf", {**sections, "app:it": {"use": f"egg:swift#{name}"}})
    filters = {f"filter:{name}": {"use": f"egg:swift#{name}"} for name in PIPELINE.split()[:-1]}
    for name, settings in FILTERS.items():
        known = {} if "paste.filter_factory" in settings else filters[f"filter:{name}"]
        filters[f"filter:{name}"] = {**known, **settings}
    proxy = {"use": "egg:swift#proxy", "account_autocreate": "true", "allow_account_management": "true", **patience}
    sections = {"DEFAULT": shared, "pipeline:main": {"pipeline": PIPELINE}, "app:proxy-server": proxy}
    write_config(etc / "proxy.conf", {**sections, **filters})


def write_rings(folder: Path, ports: dict) -> None:
    from swift.common.ring import RingBuilder

    for index, name in enumerate(SERVERS):
        builder = RingBuilder(part_power=4, replicas=1, min_part_hours=0)
        place = {"region": 1, "zone": 1, "device": "d1", "weight": 1.0}
        builder.add_dev({"id": 0, "ip": "127.0.0.1", "port": ports[name], **place})
        builder.rebalance(seed=index)
        builder.get_ring().save(str(folder / "etc" / f"{name}.ring.gz"))


def main(folder: Path, port: int) -> None:
    """Serve until the process is terminated."""
    import eventlet

    sockets = {name: eventlet.listen(("127.0.0.1", 0)) for name in SERVERS}
    sockets["proxy"] = eventlet.listen(("127.0.0.1", port))
    configure(folder)

    from swift.common import utils  # its modules read swift.conf during their import

    utils.eventlet_monkey_patch()
    utils.set_swift_dir(str(folder / "etc"))
    ports = {name: socket.getsockname()[1] for name, socket in sockets.items()}
    write_rings(folder, ports)

    from eventlet import wsgi
    from swift.common.http_protocol import SwiftHttpProtocol
    from swift.common.wsgi import loadapp

    quiet = {"protocol": SwiftHttpProtocol, "capitalize_response_headers": False, "log_output": False}
    apps = {name: loadapp(str(folder / "etc" / f"{name}.conf")) for name in sockets}
    serving = [eventlet.spawn(wsgi.server, sockets[name], app, **quiet) for name, app in apps.items()]
    for each in serving:
        each.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
