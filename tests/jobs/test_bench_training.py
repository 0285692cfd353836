"""The measurements of training run, on as little as there can be; what they say of so little is not judged."""

import re
import time
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import ray

from featurelib.datasets.shards import decode_png, open_renders, read_views
from featurelib.runtime import s3, storage
from jobs.bench.delivery import Delivery, stream_delivery
from jobs.bench.excerpts import copy_shards, repeat_shards, resize, training_excerpt
from jobs.bench.footprint import Footprint
from jobs.bench.ingest import BenchIngestConfig, bench_ingest, delete_copies, ratio_of, write_images
from jobs.bench.memory_plot import memory_plot
from jobs.bench.step import Pace
from jobs.bench.tf_pipeline import tf_data
from jobs.bench.train import BenchTrainConfig, Measured, bench_train
from jobs.workers.cluster import connect_for_data
from jobs.workers.detector_stream import StreamPlan

STREAM_ROLES = {"_read_segment": "data worker", "SplitCoordinator": "coordinator", "consume": "consumer"}


@pytest.fixture
def manifest(run):
    return open_renders(str(run), "orthographic")


@pytest.fixture
def bucket(monkeypatch):
    """A bucket of a server that speaks S3; its URI."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3.client.cache_clear()
    s3.client().create_bucket(Bucket="bucket")
    yield "s3://bucket/bench"
    s3.client.cache_clear()
    server.stop()


def test_bench_ingest_measures_both_pipelines(cluster, run, capsys):
    """One table holds our stream and tf.data over equally many samples, and then their ratio."""
    bench_ingest(BenchIngestConfig(run=str(run), input_size=32, batch_size=16, samples=400, repeats=1))

    text = capsys.readouterr().out
    rows = dict(re.findall(r"^local: (our stream|tf\.data) +([0-9.]+) ", text, re.MULTILINE))
    ratio = re.search(r"local: our stream runs at ([0-9.]+) of tf\.data", text)
    assert "samples of 90 views of 128 px and their mirror images" in text
    assert float(ratio[1]) == pytest.approx(float(rows["our stream"]) / float(rows["tf.data"]), abs=0.02)


def test_medians_are_compared():
    """The luckiest repeat counts for neither side."""
    ours, theirs = ([Delivery(8, 1.0, rate, 2.0) for rate in rates] for rates in ((90, 80, 500), (100, 100, 7)))

    assert ratio_of(ours, theirs) == 0.9


@pytest.mark.parametrize("place", ["local", "S3"])
def test_both_pipelines_are_given_the_same_pictures(manifest, place, request, tmp_path):
    """Of an excerpt's shards and single files, wherever they lie, both make the training views and their mirrors."""
    uri = str(tmp_path) if place == "local" else request.getfixturevalue("bucket")
    excerpt = training_excerpt(manifest, samples=60)
    copies = write_images(place, copy_shards(excerpt, storage.join(uri, "shards")), uri)
    size = manifest.spec.image_size
    plan = StreamPlan(copies.manifest, input_size=size, batch_size=2, epochs=1)

    ours = [batch.images for segment in plan.segments() for batch in plan.batches(segment)]
    theirs = list(tf_data(copies.images, plan))

    stored = [decode_png(storage.read_bytes(uri)) for uri in copies.images]
    expected = Counter(image.tobytes() for view in stored for image in (view, view[:, ::-1]))
    assert 0 < expected.total() == 2 * copies.manifest.views["train"]
    for batches in (ours, theirs):
        assert Counter(image.astype(np.uint8).tobytes() for batch in batches for image in batch) == expected

    delete_copies([copies])
    assert not any(storage.exists(uri) for uri in (*copies.images, *copies.manifest.shard_uris))


@pytest.mark.slow
def test_bench_train_measures_a_training_beside_its_parts(cluster, run, capsys):
    """One row holds the stream, the step and both, and says what the CPUs would allow."""
    bench_train(BenchTrainConfig(run=str(run), input_size=32, batch_size=16, epochs=2, samples=200, seconds=0.1))

    row = re.search(r"^ +1((?: +[0-9.]+){9})$", capsys.readouterr().out, re.MULTILINE)
    stream, step, both, wait_pct, predicted, share = map(float, row[1].split()[:6])
    assert both > 0
    assert 0 <= wait_pct <= 100
    assert predicted <= min(stream, step) + 0.1
    assert share == pytest.approx(both / predicted, abs=0.1)


def test_full_cores_are_predicted_from_cpu_time():
    """Two CPUs and 2 + 8 ms an image make 200 images a second; a slower part alone bounds it further."""
    row = Measured(1, Delivery(100, 1.0, 900.0, 2.0), Pace(250.0, 8.0), both=180.0, wait_pct=3.0)

    assert row.predicted(cpus=2) == 200
    assert row.predicted(cpus=16) == 250


@pytest.mark.slow
def test_bench_train_shows_memory_over_the_dataset(cluster, run, capsys):
    """With numbers of images, the table holds every kind of process and how far its peak has grown."""
    bench_train(BenchTrainConfig(run=str(run), input_size=32, batch_size=16, epochs=1, images=(90, 180)))

    text = capsys.readouterr().out
    for role in ("train worker", "data worker", "split coordinator", "driver"):
        small, large, growth = map(
            float, re.search(rf"^{role} +(\d+) +(\d+) +(-?[0-9.]+)%$", text, re.MULTILINE).groups()
        )
        assert growth == pytest.approx(100 * (large / small - 1), abs=1.5)


@pytest.mark.parametrize("share", [0.4, 3.0])
def test_a_sized_dataset_counts_what_its_shards_hold(manifest, share):
    """Fewer images are some of the shards, more are all of them again; both keep validation views."""
    few = resize(manifest, int(share * 2 * manifest.views["train"]))

    for split in ("train", "val"):
        assert few.views[split] == sum(len(read_views(uri, split=split)) for uri in few.shard_uris)
    assert few.views["val"] > 0
    assert set(few.shards) <= set(manifest.shards)


def test_the_picture_of_memory_shows_every_process(tmp_path):
    """It is an SVG file of its own that names each role, and says its peaks in words."""
    svg = memory_plot(
        (2000, 40_000), [{"data worker": 260.0, "driver": 180.0}, {"data worker": 270.0, "driver": 181.0}]
    )

    root = ElementTree.fromstring(svg)
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"data worker", "driver"} <= set(texts)
    assert "data worker 260 to 270 MB" in svg


def test_repeated_shards_hold_repeated_views(manifest):
    """A dataset n times as large names every shard n times and counts every split n times."""
    repeated = repeat_shards(manifest, 10 * 2 * manifest.views["train"])

    assert Counter(repeated.shards) == dict.fromkeys(manifest.shards, 10)
    assert repeated.views == {split: 10 * count for split, count in manifest.views.items()}


def test_a_footprint_is_what_would_be_free_if_a_process_ended(cluster):
    """200 MB on a worker's heap are its own; as many in the object store are not, though it alone has touched them."""
    with Footprint({"hold_on_heap": "heap", "hold_in_store": "store"}) as footprint:
        ray.get([hold_on_heap.remote(200), hold_in_store.remote(200)])

    assert footprint.peak_mb["heap"] > footprint.peak_mb["store"] + 150


@ray.remote(num_cpus=0, max_calls=1)
def hold_on_heap(mb):
    held = np.ones(mb * 125_000)
    time.sleep(2)
    return len(held)


@ray.remote(num_cpus=0, max_calls=1)
def hold_in_store(mb):
    held = [ray.put(np.ones(1_250_000)) for _ in range(mb // 10)]
    time.sleep(2)
    return len(held)


@pytest.mark.slow
def test_the_stream_keeps_no_pictures(cluster, manifest):
    """Ten times the images, 600 MB more, raise no process's peak by a tenth of that."""
    connect_for_data()
    alone = replace(manifest, views={**manifest.views, "val": 0})
    sizes = {}
    for images in (1200, 12_000):
        plan = StreamPlan(repeat_shards(alone, images), input_size=224, batch_size=32, epochs=1, shuffle_buffer=200)
        with Footprint(STREAM_ROLES) as footprint:
            sizes[images] = 224 * 224 * stream_delivery(plan).samples / 1e6, footprint

    (small_mb, small), (large_mb, large) = sizes.values()
    assert large_mb > small_mb + 500
    for role in ("data worker", "coordinator", "consumer"):
        assert large.peak_mb[role] < small.peak_mb[role] + 0.1 * (large_mb - small_mb)
