import time
from dataclasses import replace

import numpy as np
import pytest
import ray

from jobs.bench.delivery import stream_delivery
from jobs.bench.excerpts import repeat_shards
from jobs.bench.footprint import Footprint
from jobs.workers.cluster import connect_for_data
from jobs.workers.detector_samples import StreamPlan

STREAM_ROLES = {"_read_segment": "data worker", "SplitCoordinator": "coordinator", "consume": "consumer"}


def test_the_object_store_does_not_count(cluster):
    """200 MB on a worker's heap count as its memory; 200 MB in the object store do not, even if only it used them."""
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
def test_the_stream_keeps_no_images(cluster, manifest):
    """600 MB more images raise no process's peak by more than a tenth of that."""
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
