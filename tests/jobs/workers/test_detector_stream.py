from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import ray

from featurelib.datasets.shards import open_renders, read_views
from jobs.workers.cluster import connect_for_data
from jobs.workers.detector_stream import StreamPlan, passes_of, sample_stream

SIZE, BATCH = 32, 16


@pytest.fixture
def plan(run) -> StreamPlan:
    return StreamPlan(open_renders(str(run), "orthographic"), input_size=SIZE, batch_size=BATCH, epochs=2)


def keys(batches) -> Counter:
    """Count samples by what makes them unique: their labels, to a millionth of the width."""
    found = Counter()
    for _, labels in batches:
        for points, near, weight in zip(labels.points, labels.near, labels.weight, strict=True):
            if weight:
                found[*np.round(points.ravel(), 6).tolist(), int(near)] += 1
    return found


def wanted(plan, split) -> Counter:
    """The same of all of a split's views, with their mirror images if it is trained on."""
    found = Counter()
    for uri in plan.manifest.shard_uris:
        for view in read_views(uri, split=split):
            points, near = np.array([view["left_xy"], view["right_xy"]], np.float32), int(view["near_side"] == "right")
            found[*np.round(points.ravel(), 6).tolist(), near] += 1
            if split == "train":
                mirrored = (points * np.float32([-1, 1]) + np.float32([1, 0]))[::-1]
                found[*np.round(mirrored.ravel(), 6).tolist(), 1 - near] += 1
    return found


def segments_of(plan, epoch, split):
    return [s for s in plan.segments() if (s.epoch, s.split) == (epoch, split)]


@pytest.mark.parametrize("shuffle_buffer", [10, 2000])
def test_a_pass_holds_every_sample_once(plan, shuffle_buffer):
    """Validation gives all views; training all views and mirror images but fewer than a batch a segment."""
    plan = replace(plan, shuffle_buffer=shuffle_buffer)
    for split in ("train", "val"):
        segments = segments_of(plan, 0, split)
        found = keys(batch for segment in segments for batch in plan.batches(segment))
        missing = wanted(plan, split) - found
        assert not found - wanted(plan, split)
        assert missing.total() <= (0 if split == "val" else (BATCH - 1) * len(segments))


def test_epochs_differ_and_repeat(plan):
    """Each epoch has an order of its own, and the same one whenever it is asked for."""
    first, other = (segments_of(plan, epoch, "train")[0] for epoch in (0, 1))
    orders = [[batch.labels.points for batch in plan.batches(segment)] for segment in (first, first, other)]

    assert np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])


def test_a_late_start_goes_on_with_the_same_epochs(plan):
    """The stream that begins at epoch 1 is the rest of the one that begins at 0."""
    assert replace(plan, first_epoch=1).segments() == [s for s in plan.segments() if s.epoch == 1]


def test_the_plan_stays_small(plan):
    """A million objects make no more segments than a pass may have."""
    large = replace(plan.manifest, shards=("shard.parquet",) * 65_536, views={"train": 6_300_000, "val": 1_350_000})
    counts = Counter((s.epoch, s.split) for s in replace(plan, manifest=large).segments())

    assert set(counts.values()) == {128}


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_share_every_step_in_order(plan, workers):
    """Dealt to workers by Ray and put together again, the shares are the plan's batches, whatever their number."""
    connect_for_data()
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    expected = [(s[:2], batch) for s in plan.segments() for batch in plan.batches(s)]
    splits = sample_stream(plan, workers).streaming_split(workers, equal=True)

    @ray.remote(num_cpus=0)
    def consume(share):
        return [(key, batch) for key, batches in passes_of(share, BATCH // workers) for batch in batches]

    shares = ray.get([consume.remote(share) for share in splits])

    assert [len(share) for share in shares] == [len(expected)] * workers
    for (key, batch), *parts in zip(expected, *shares, strict=True):
        assert {part[0] for part in parts} == {key}
        assert np.array_equal(np.concatenate([part[1].images for part in parts]), batch.images)
        for name in batch.labels._fields:
            joined = np.concatenate([getattr(part[1].labels, name) for part in parts])
            assert np.array_equal(joined, getattr(batch.labels, name))
