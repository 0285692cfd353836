"""`featurelib serve`: the HTTP server of a run, on the cluster named by RAY_ADDRESS or on a local one."""

import logging
import os
import signal
import threading
from dataclasses import dataclass

import ray
from pydantic import ValidationError
from ray import serve as ray_serve

from featurelib.datasets.annotations import read_labels
from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.errors import FeaturelibError, UsageError
from featurelib.runtime import cli, storage
from featurelib.runtime.console import print_result
from serve.app import build_app
from serve.ray_environment import fast_serve
from serve.run_index import manifests_of, run_version
from serve.settings import AppSettings, LimitSettings, StageSettings

logger = logging.getLogger(__name__)


@cli.config
@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """What to serve, where, and to which clients.

    Attributes:
        run: Folder or s3:// URI of the run. Not needed to label a dataset.
        dataset: Folder or s3:// URI with the meshes; default: the dataset that was rendered.
        label: Let clients save labels to the dataset's landmarks.csv.
        host: Address to listen on; 0.0.0.0 is every address of this machine.
        port: TCP port.
        token: Require `Authorization: Bearer <token>`, with 8 characters or more. Other users of this machine can see
            flags; the variable FEATURELIB_TOKEN is safer. Default: no token is required.
        cors_origins: Origins whose web pages may send requests, such as https://studio.example.
        detector_replicas: Processes that hold the detectors.
        lifter_replicas: Processes that hold the lifters and refiners.
        renderer_replicas: Processes that prepare uploaded meshes, one mesh at a time each.
        max_body_mb: Largest body of a request, in MiB.
        max_faces: Most triangles of an uploaded mesh.
        max_pixels: Most pixels of an uploaded image.
        mesh_seconds: Time limit for preparing an uploaded mesh, in seconds.
        reload_seconds: Seconds between checks for newer models of the run; 0 never checks.
    """

    run: str | None = None
    dataset: str | None = None
    label: bool = False
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    cors_origins: tuple[str, ...] = ()
    detector_replicas: int = 1
    lifter_replicas: int = 1
    renderer_replicas: int = 1
    max_body_mb: int = 32
    max_faces: int = 1_000_000
    max_pixels: int = 4096 * 4096
    mesh_seconds: float = 20.0
    reload_seconds: float = 30.0


def serve(config: ServeConfig | None = None) -> None:
    """Answer over HTTP until interrupted.

    Example: featurelib serve --run runs/heads --port 8000
    Example: featurelib serve --dataset scans --label
    """
    config = config or ServeConfig()
    settings = app_settings(config)  # fails before Ray starts, if something is missing
    start(settings, config.host, config.port)
    uri = f"http://{config.host}:{config.port}"
    print_result(f"{uri}: the server is ready, with API and viewer; Ctrl-C stops it", {"uri": uri})
    ends = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ends.set())
    while not ends.wait(config.reload_seconds or None):
        settings = reloaded(settings)
    ray_serve.shutdown()


def app_settings(config: ServeConfig) -> AppSettings:
    """Return the server's settings.

    Raises:
        DataError: if the run has nothing to serve, or there is no dataset to label.
        UsageError: if a flag is invalid.
    """
    if config.run is None and not (config.label and config.dataset):
        raise UsageError("--run: missing; expected the folder of a run, or --dataset with --label to label its meshes")
    if config.label:
        read_labels(labelled_dataset(config).uri)
    try:
        return AppSettings(
            run=config.run and storage.absolute(config.run),
            dataset=config.dataset and storage.absolute(config.dataset),
            label=config.label,
            token=config.token,
            cors_origins=config.cors_origins,
            version=run_version(config.run) if config.run else "",
            detector=StageSettings(replicas=config.detector_replicas),
            lifter=StageSettings(replicas=config.lifter_replicas),
            renderer=StageSettings(replicas=config.renderer_replicas),
            limits=LimitSettings(
                body_mb=config.max_body_mb,
                mesh_faces=config.max_faces,
                image_pixels=config.max_pixels,
                mesh_seconds=config.mesh_seconds,
            ),
        )
    except ValidationError as error:
        first = error.errors(include_input=False)[0]  # without the input, which may be the token
        raise UsageError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None


def labelled_dataset(config: ServeConfig) -> Dataset:
    """Return the dataset whose labels clients may save.

    Raises:
        DataError: if it cannot be read.
    """
    uri = config.dataset or next(iter(manifests_of(str(config.run)).values())).dataset
    return open_dataset(uri, labelled=False)


def start(settings: AppSettings, host: str, port: int) -> None:
    """Start the server and return once its models are loaded and warm."""
    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS", "local")  # by default Ray joins the cluster that was last started here
        if address == "local":
            os.environ.update({name: value for name, value in fast_serve().items() if name not in os.environ})
        ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
    ray_serve.start(http_options={"host": host, "port": port})
    ray_serve.run(build_app(settings), name="featurelib", route_prefix="/")


def reloaded(settings: AppSettings) -> AppSettings:
    """Replace the models if the run has newer ones, without failing a request; return the current settings.

    The models of an incomplete run are not replaced.
    """
    if settings.run is None:
        return settings
    try:
        version = run_version(settings.run)
    except FeaturelibError:
        return settings
    if version == settings.version:
        return settings
    newer = settings.model_copy(update={"version": version})
    try:
        ray_serve.run(build_app(newer), name="featurelib", route_prefix="/")
    except RuntimeError as error:  # the new replicas did not start; the old ones continue
        logger.warning("serve: the run's newer models cannot be served (%s)", error)
        return settings
    logger.info("serve: models %s replace %s", version[:12], settings.version[:12])
    return newer


if __name__ == "__main__":
    cli.run(cli.single_command(serve, "serve"))
