import re
from collections import Counter

import numpy as np
import pytest

from featurelib.datasets.shards import decode_png
from featurelib.runtime import s3, storage
from jobs.bench.delivery import Delivery
from jobs.bench.drivers.ingest import delete_copies, ratio_of, write_images
from jobs.bench.excerpts import copy_shards, training_excerpt
from jobs.bench.ingest import BenchIngestConfig, bench_ingest
from jobs.bench.tf_pipeline import tf_data
from jobs.workers.detector_samples import StreamPlan


@pytest.fixture
def bucket(monkeypatch):
    """The URI of a folder in a bucket of a local S3 server."""
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
    """One table has our stream and tf.data over the same number of samples; their ratio follows."""
    bench_ingest(BenchIngestConfig(run=str(run), input_size=32, batch_size=16, samples=400, repeats=1))

    text = capsys.readouterr().out
    rows = dict(re.findall(r"^local: (our stream|tf\.data) +([0-9.]+) ", text, re.MULTILINE))
    ratio = re.search(r"local: our stream runs at ([0-9.]+) of tf\.data", text)
    assert "samples of 90 views of 128 px and their mirror images" in text
    assert float(ratio[1]) == pytest.approx(float(rows["our stream"]) / float(rows["tf.data"]), abs=0.02)


def test_medians_are_compared():
    """An outlier of either side does not matter."""
    ours, theirs = ([Delivery(8, 1.0, rate, 2.0) for rate in rates] for rates in ((90, 80, 500), (100, 100, 7)))

    assert ratio_of(ours, theirs) == 0.9


@pytest.mark.parametrize("place", ["local", "S3"])
def test_both_pipelines_deliver_the_same_images(manifest, place, request, tmp_path):
    """From shards and from single files, local or on S3, both deliver the training views and their mirror images."""
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
