"""`featurelib serve`: the HTTP server of a run, on the cluster named by RAY_ADDRESS or one of its own."""

import logging
import signal
from dataclasses import dataclass

import ray
from ray import serve as ray_serve

from featurelib import cli, storage
from serve.app import AppSettings, build_app
from serve.catalogue import Catalogue


@cli.config
@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """What to serve, and where.

    Attributes:
        run: Folder or s3:// URI of the run.
        host: Address to listen on; 0.0.0.0 means every one of this machine.
        port: TCP port.
    """

    run: str
    host: str = "127.0.0.1"
    port: int = 8000


def serve(config: ServeConfig) -> None:
    """Answer over HTTP until interrupted.

    Example: featurelib serve --run runs/heads --port 8000
    """
    Catalogue.of(config.run)  # says what is missing before Ray is started
    start(config)
    print(f"http://{config.host}:{config.port} answers; Ctrl-C ends it")
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    ray_serve.shutdown()


def start(config: ServeConfig) -> None:
    """Start the server and return once its models are loaded and warm."""
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
    ray_serve.start(http_options={"host": config.host, "port": config.port})
    ray_serve.run(build_app(AppSettings(run=storage.absolute(config.run))), name="featurelib", route_prefix="/")


if __name__ == "__main__":
    cli.run(cli.single_command(serve, "serve"))
