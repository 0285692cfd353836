"""The driver of `featurelib serve`: starts the server on Ray Serve, and keeps its models up to date."""

import logging
import os
import signal
import threading

import ray
from pydantic import ValidationError
from ray import serve as ray_serve

from featurelib.datasets.annotations import read_labels
from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.datasets.dataset_json import read_settings
from featurelib.errors import FeaturelibError, UsageError
from featurelib.runtime import storage
from featurelib.runtime.console import output_options, print_result
from featurelib.runtime.ray_start import starting_ray
from serve.__main__ import ServeConfig
from serve.app import build_app
from serve.ray_environment import fast_serve
from serve.run_index import manifests_of, refuse_other_set, run_version
from serve.settings import AppSettings, LimitSettings, StageSettings

logger = logging.getLogger(__name__)


def run(config: ServeConfig) -> None:
    """Start the server and replace its models when the run has newer ones, until SIGINT or SIGTERM."""
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
        dataset = labelled_dataset(config)
        read_labels(dataset.uri, dataset.landmarks)
    if config.run:
        refuse_other_sets(config)
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


def refuse_other_sets(config: ServeConfig) -> None:
    """Raise DataError if the run's projections, or the dataset to serve, have different landmark sets."""
    manifests = list(manifests_of(str(config.run)).values())
    for manifest in manifests[1:]:
        refuse_other_set(manifests[0], manifest.landmarks, manifest.uri)
    settings = storage.join(config.dataset or manifests[0].dataset, "dataset.json")
    if config.dataset or storage.exists(settings):
        refuse_other_set(manifests[0], read_settings(settings).landmarks, settings)


def start(settings: AppSettings, host: str, port: int) -> None:
    """Start the server and return once its models are loaded and warm."""
    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS", "local")  # by default Ray joins the cluster that was last started here
        if address == "local":
            os.environ.update({name: value for name, value in fast_serve().items() if name not in os.environ})
        level = logging.INFO if output_options().verbose else logging.ERROR
        with starting_ray(address):
            ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=level)
        logging.getLogger("ray.serve").setLevel(level)
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
