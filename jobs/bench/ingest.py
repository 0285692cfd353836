"""`featurelib bench ingest`: our stream of training samples against tf.data on the same images as loose PNG files."""

import contextlib
import io
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import ray
from numpy.typing import NDArray

from featurelib.datasets.shards import Manifest, open_renders, read_receipt, read_views
from featurelib.datasets.synthetic import write_dataset
from featurelib.geometry import Projection
from featurelib.runtime import cli, storage
from featurelib.runtime.console import print_result
from jobs.bench.footprint import Footprint
from jobs.render import RenderConfig, render
from jobs.workers import cluster
from jobs.workers.streams import BUFFERS_A_SEGMENT, StreamPlan, in_order, passes_of, sample_stream

logger = logging.getLogger(__name__)

FILE_READERS, OBJECT_READERS = 4, 16
"""Of the tf.data pipeline, at once: an object store's answer takes far longer than a disk's."""


@cli.config
@dataclass(frozen=True, kw_only=True)
class BenchIngestConfig:
    """What to measure on.

    Attributes:
        run: Folder or s3:// URI of a run with renders; default: synthetic bodies, rendered for it.
        projection: Which images.
        objects: Bodies to make where no run is given.
        image_size: Width and height of their images, in pixels.
        s3: URI of a folder in an object store, such as s3://bucket/bench; the same pair is measured there, too.
        input_size: Width and height of the network's image, in pixels.
        batch_size: Samples a batch.
        samples: Of each figure and repeat, at most; the images come again as often as it takes. Default: as many
            as give every CPU one full segment of the stream.
        repeats: Of each figure; the table gives the median and the range.
    """

    run: str | None = None
    projection: Projection = "orthographic"
    objects: int = 40
    image_size: int = 512
    s3: str | None = None
    input_size: int = 224
    batch_size: int = 32
    samples: int | None = None
    repeats: int = 3


class Place(NamedTuple):
    """The same images twice. manifest: of shards, training views alone. images: URIs of single PNG files."""

    name: str
    manifest: Manifest
    images: tuple[str, ...]


class Delivery(NamedTuple):
    """What came. samples: how many. start_s: until the first batch. rate: samples a second since then.

    cpu_ms: of all processes together, a sample, since then.
    """

    samples: int
    start_s: float
    rate: float
    cpu_ms: float


def bench_ingest(config: BenchIngestConfig = BenchIngestConfig()) -> None:
    """Images a second of the training's stream and of a tf.data pipeline on loose files, from disk and from S3.

    Both decode every sample to one grey channel of the same size, mirror images as samples of their own, and hand
    over equally many batches; nothing else runs. TensorFlow cannot read S3, so its pipeline asks boto3 there.

    Example: featurelib bench ingest --run runs/heads
    """
    cluster.connect_for_data()
    with tempfile.TemporaryDirectory() as folder:
        manifest = open_renders(config.run or render_bodies(config, Path(folder)), config.projection)
        samples = config.samples or cluster.num_cpus() * BUFFERS_A_SEGMENT * StreamPlan.shuffle_buffer
        manifest = training_excerpt(manifest, samples)
        places = [spread("local", manifest, folder)]
        if config.s3:
            places.append(spread("S3", copy_shards(manifest, storage.join(config.s3, "shards")), config.s3))
        try:
            found = measure(config, places, samples)
        finally:
            delete_copies([place for place in places if place.name == "S3"])
    print_deliveries(config, places, found)


def render_bodies(config: BenchIngestConfig, folder: Path) -> str:
    """Render synthetic bodies and return the run's folder."""
    logger.info("bench: rendering %s synthetic bodies", config.objects)
    dataset, run = folder / "bodies", str(folder / "run")
    write_dataset(dataset, config.objects)
    flags = RenderConfig(
        dataset=str(dataset),
        run=run,
        projections=(config.projection,),
        image_size=config.image_size,
        backend="raster",
    )
    with contextlib.redirect_stdout(io.StringIO()):
        render(flags)
    return run


def training_excerpt(manifest: Manifest, samples: int) -> Manifest:
    """Return a manifest of the first shards that counts their training views alone, with at most so many samples.

    The first shard is in any case.
    """
    shards: list[str] = []
    views = 0
    for name in manifest.shards:
        more = read_receipt(storage.join(manifest.uri, name)).views.get("train", 0)
        if shards and 2 * (views + more) > samples:
            break
        shards, views = [*shards, name], views + more
    return replace(manifest, shards=tuple(shards), views={"train": views, "val": 0})


def repeat_shards(manifest: Manifest, samples: int) -> Manifest:
    """Return a manifest that names the same shards again and again, for at most so many training samples a pass."""
    times = max(1, samples // (2 * manifest.views["train"]))
    views = {split: times * count for split, count in manifest.views.items()}
    return replace(manifest, shards=manifest.shards * times, views=views)


def copy_shards(manifest: Manifest, uri: str) -> Manifest:
    """Copy the shards into another folder and return the manifest of the copies."""
    for name in manifest.shards:
        storage.write_bytes(storage.join(uri, name), storage.read_bytes(storage.join(manifest.uri, name)))
    return replace(manifest, uri=uri)


def spread(name: str, manifest: Manifest, uri: str) -> Place:
    """Write the training views' images as single files below a folder."""
    pngs = {
        storage.join(uri, "images", f"{view['object_id']}-{view['view']}.png"): view["png"]
        for shard in manifest.shard_uris
        for view in read_views(shard, split="train", columns=("object_id", "view", "png"))
    }
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(storage.write_bytes, pngs.keys(), pngs.values()))
    return Place(name, manifest, tuple(pngs))


def delete_copies(places: Sequence[Place]) -> None:
    """Remove what was copied to an object store."""
    for uri in (uri for place in places for uri in (*place.manifest.shard_uris, *place.images)):
        storage.delete(uri)


def measure(config: BenchIngestConfig, places: Sequence[Place], samples: int) -> dict[tuple[str, str], list[Delivery]]:
    """Return all deliveries by place and pipeline; the repeats go round, so that a slow minute hits all alike."""
    found: dict[tuple[str, str], list[Delivery]] = {}
    for _ in range(config.repeats):
        for place in places:
            repeated = repeat_shards(place.manifest, samples)
            plan = StreamPlan(repeated, input_size=config.input_size, batch_size=config.batch_size, epochs=1)
            logger.info("bench: %s, our stream", place.name)
            ours = deliver(plan)
            logger.info("bench: %s, tf.data", place.name)
            theirs = deliver_tf_data(place.images, plan, ours.samples // plan.batch_size)
            found.setdefault((place.name, "our stream"), []).append(ours)
            found.setdefault((place.name, "tf.data"), []).append(theirs)
    return found


def deliver(plan: StreamPlan, workers: int = 1) -> Delivery:
    """Run our stream into `workers` processes that do nothing with it, opened as Ray Train opens it."""
    stream = sample_stream(plan, workers)
    stream.context.execution_options = in_order()
    shares = stream.streaming_split(workers, equal=True)
    return _watched(lambda: [consume.remote(share, plan.batch_size // workers) for share in shares])


def deliver_tf_data(images: Sequence[str], plan: StreamPlan, num_batches: int) -> Delivery:
    """Run the tf.data pipeline likewise."""
    return _watched(lambda: [consume_tf_data.remote(images, plan, num_batches)])


def _watched(start: Callable[[], list[Any]]) -> Delivery:
    with Footprint({}, memory=False) as footprint:
        began = time.time()
        arrivals = sorted(arrival for found in ray.get(start()) for arrival in found)
    samples = sum(count for _, count in arrivals)
    (first, count), (last, _) = arrivals[0], arrivals[-1]
    steady = max(1, samples - count)
    cpu_s = footprint.cpu_s(first, last)
    return Delivery(samples, first - began, steady / max(1e-9, last - first), 1e3 * cpu_s / steady)


@ray.remote(num_cpus=0)
def consume(share: ray.data.DataIterator, batch_size: int) -> list[tuple[float, int]]:
    """Return when each batch of a worker's share came, and its samples."""
    passes = passes_of(share, batch_size)
    return [(time.time(), len(batch.images)) for _, one_pass in passes for batch in one_pass]


@ray.remote(num_cpus=0, max_calls=1)
def consume_tf_data(images: Sequence[str], plan: StreamPlan, num_batches: int) -> list[tuple[float, int]]:
    """Return when each batch of the tf.data pipeline came, and its samples."""
    return [(time.time(), len(batch)) for batch in islice(tf_data(images, plan), num_batches)]


def tf_data(images: Sequence[str], plan: StreamPlan) -> Iterator[NDArray[np.float32]]:
    """Yield batches (n, s, s, 1) of the classic pipeline: shuffle names, read, decode, resize, mirror, batch, prefetch.

    Its images are of one channel, as ours; each is decoded once as it is and once for its mirror image.
    """
    import tensorflow as tf

    read, readers = (_s3_reader(tf), OBJECT_READERS) if storage.is_s3(images[0]) else (tf.io.read_file, FILE_READERS)

    def load(uri: Any, mirrored: Any) -> Any:
        image = tf.io.decode_png(read(uri), channels=1)
        image = tf.image.resize(image, (plan.input_size, plan.input_size), method="area")
        return tf.cond(mirrored, lambda: tf.image.flip_left_right(image), lambda: image)

    mirrored = [False] * len(images) + [True] * len(images)
    samples = tf.data.Dataset.from_tensor_slices(([*images, *images], mirrored))
    repeated = samples.repeat(plan.manifest.views["train"] // len(images))
    shuffled = repeated.shuffle(plan.shuffle_buffer, seed=plan.seed)
    decoded = shuffled.map(load, num_parallel_calls=readers)
    yield from decoded.batch(plan.batch_size, drop_remainder=True).prefetch(2).as_numpy_iterator()


def _s3_reader(tf: Any) -> Callable[[Any], Any]:
    import boto3
    from botocore.config import Config

    client = boto3.client("s3", config=Config(max_pool_connections=OBJECT_READERS))

    def get(uri: bytes) -> bytes:
        bucket, _, key = uri.decode().removeprefix("s3://").partition("/")
        return bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read())

    return lambda uri: tf.ensure_shape(tf.numpy_function(get, [uri], tf.string), ())


def print_deliveries(
    config: BenchIngestConfig, places: Sequence[Place], found: dict[tuple[str, str], list[Delivery]]
) -> None:
    """Print the table and the ratios."""
    manifest, samples = places[0].manifest, next(iter(found.values()))[0].samples
    print_result(
        f"\n{samples} samples of {manifest.views['train']} views of {manifest.spec.image_size} px and their mirror "
        f"images, at {config.input_size} px, one channel, in batches of {config.batch_size}"
    )
    print_result(f"{'samples a second':24}{'median':>10}{'lowest':>10}{'highest':>10}{'start, s':>10}{'CPU ms':>10}")
    for (place, pipeline), runs in found.items():
        rates = [run.rate for run in runs]
        others = (statistics.median(run.start_s for run in runs), statistics.median(run.cpu_ms for run in runs))
        row = (statistics.median(rates), min(rates), max(rates), *others)
        print_result(f"{f'{place}: {pipeline}':24}" + "".join(f"{value:10.1f}" for value in row))
    for name in (place.name for place in places):
        ratio = ratio_of(found[name, "our stream"], found[name, "tf.data"])
        print_result(f"{name}: our stream runs at {ratio:.2f} of tf.data")


def ratio_of(ours: Sequence[Delivery], theirs: Sequence[Delivery]) -> float:
    """Return the ratio of the medians."""
    return statistics.median(run.rate for run in ours) / statistics.median(run.rate for run in theirs)
