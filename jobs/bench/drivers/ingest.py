"""`featurelib bench ingest`: our stream of training samples against tf.data on the same images as loose PNG files."""

import logging
import statistics
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from featurelib.datasets.shards import Manifest, open_renders, read_views
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from jobs.bench.delivery import Delivery, stream_delivery
from jobs.bench.excerpts import copy_shards, repeat_shards, training_excerpt
from jobs.bench.ingest import BenchIngestConfig
from jobs.bench.renders import rendered_run
from jobs.bench.tables import SPREAD, cells, spread
from jobs.bench.tf_pipeline import tf_data_delivery
from jobs.workers import cluster
from jobs.workers.detector_samples import BUFFERS_PER_SEGMENT, StreamPlan

logger = logging.getLogger(__name__)


class Place(NamedTuple):
    """The same images twice.

    Attributes:
        name: "local" or "S3".
        manifest: Of the shards; it counts training views only.
        images: URIs of the single PNG files.
    """

    name: str
    manifest: Manifest
    images: tuple[str, ...]


def run(config: BenchIngestConfig) -> None:
    """Measure both pipelines in each place and print the table."""
    cluster.connect_for_data()
    with tempfile.TemporaryDirectory() as folder:
        manifest = open_renders(rendered_run(config, Path(folder)), config.projection)
        samples = config.samples or cluster.num_cpus() * BUFFERS_PER_SEGMENT * StreamPlan.shuffle_buffer
        manifest = training_excerpt(manifest, samples)
        places = [write_images("local", manifest, folder)]
        if config.s3:
            copies = copy_shards(manifest, storage.join(config.s3, "shards"))
            places.append(write_images("S3", copies, config.s3))
        try:
            found = measure(config, places, samples)
        finally:
            delete_copies([place for place in places if place.name == "S3"])
    print_deliveries(config, places, found)


def write_images(name: str, manifest: Manifest, uri: str) -> Place:
    """Write the images of the training views as single files below a folder."""
    pngs = {
        storage.join(uri, "images", f"{view['object_id']}-{view['view']}.png"): view["png"]
        for shard in manifest.shard_uris
        for view in read_views(shard, split="train", columns=("object_id", "view", "png"))
    }
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(storage.write_bytes, pngs.keys(), pngs.values()))
    return Place(name, manifest, tuple(pngs))


def delete_copies(places: Sequence[Place]) -> None:
    """Delete the shards and images that were copied to an object store."""
    for uri in (uri for place in places for uri in (*place.manifest.shard_uris, *place.images)):
        storage.delete(uri)


def measure(config: BenchIngestConfig, places: Sequence[Place], samples: int) -> dict[tuple[str, str], list[Delivery]]:
    """Return all deliveries by place and pipeline; repeats alternate between them, so a slow minute affects all."""
    found: dict[tuple[str, str], list[Delivery]] = {}
    for _ in range(config.repeats):
        for place in places:
            repeated = repeat_shards(place.manifest, samples)
            plan = StreamPlan(repeated, input_size=config.input_size, batch_size=config.batch_size, epochs=1)
            logger.info("bench: %s, our stream", place.name)
            ours = stream_delivery(plan)
            logger.info("bench: %s, tf.data", place.name)
            theirs = tf_data_delivery(place.images, plan, ours.samples // plan.batch_size)
            found.setdefault((place.name, "our stream"), []).append(ours)
            found.setdefault((place.name, "tf.data"), []).append(theirs)
    return found


def print_deliveries(
    config: BenchIngestConfig, places: Sequence[Place], found: dict[tuple[str, str], list[Delivery]]
) -> None:
    """Print a table, and the ratio of the two pipelines in each place."""
    manifest, samples = places[0].manifest, next(iter(found.values()))[0].samples
    print_result(
        f"\n{samples} samples of {manifest.views['train']} views of {manifest.spec.image_size} px and their mirror "
        f"images, at {config.input_size} px, one channel, in batches of {config.batch_size}"
    )
    print_result(f"{'samples per second':24}{SPREAD}{'start, s':>10}{'CPU ms':>10}")
    for (place, pipeline), runs in found.items():
        others = (statistics.median(run.start_s for run in runs), statistics.median(run.cpu_ms for run in runs))
        print_result(f"{f'{place}: {pipeline}':24}" + cells((*spread([run.rate for run in runs]), *others)))
    for name in (place.name for place in places):
        ratio = ratio_of(found[name, "our stream"], found[name, "tf.data"])
        print_result(f"{name}: our stream runs at {ratio:.2f} of tf.data")


def ratio_of(ours: Sequence[Delivery], theirs: Sequence[Delivery]) -> float:
    """Return the ratio of the median rates."""
    return statistics.median(run.rate for run in ours) / statistics.median(run.rate for run in theirs)
