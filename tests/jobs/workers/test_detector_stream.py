from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import ray

from featurelib.datasets.shards import open_renders, read_views
from jobs.workers.cluster import connect_for_data
from jobs.workers.detector_samples import StreamPlan, alone_passes
from jobs.workers.detector_stream import passes_of, sample_stream

SIZE, BATCH = 32, 16


@pytest.fixture
def plan(run) -> StreamPlan:
    return StreamPlan(open_renders(str(run), "orthographic"), input_size=SIZE, batch_size=BATCH, epochs=2)


def keys(batches) -> Counter:
    """Count samples by their labels, which are unique, rounded to a millionth of the width."""
    found = Counter()
    for _, labels in batches:
        for points, [near], weight in zip(labels.points, labels.near, labels.weight, strict=True):
            if weight:
                found[*np.round(points.ravel(), 6).tolist(), int(near)] += 1
    return found


def wanted(plan, split) -> Counter:
    """Count the views of a split in the same way, with their mirror images in the training split."""
    found = Counter()
    for uri in plan.manifest.shard_uris:
        for view in read_views(uri, split=split):
            points, [near] = np.array(view["landmarks_xy"], np.float32).reshape(2, 2), view["near"]
            found[*np.round(points.ravel(), 6).tolist(), near] += 1
            if split == "train":
                mirrored = (points * np.float32([-1, 1]) + np.float32([1, 0]))[::-1]
                found[*np.round(mirrored.ravel(), 6).tolist(), 1 - near] += 1
    return found


def segments_of(plan, epoch, split):
    return [s for s in plan.segments() if (s.epoch, s.split) == (epoch, split)]


@pytest.mark.parametrize("shuffle_buffer", [10, 2000])
def test_a_pass_has_every_sample_once(plan, shuffle_buffer):
    """Validation has all views; training has all views and mirror images, except less than a batch per segment."""
    plan = replace(plan, shuffle_buffer=shuffle_buffer)
    for split in ("train", "val"):
        segments = segments_of(plan, 0, split)
        found = keys(batch for segment in segments for batch in plan.batches(segment))
        missing = wanted(plan, split) - found
        assert not found - wanted(plan, split)
        assert missing.total() <= (0 if split == "val" else (BATCH - 1) * len(segments))


def test_epochs_differ_and_are_reproducible(plan):
    """Each epoch has another order, which is always the same."""
    first, other = (segments_of(plan, epoch, "train")[0] for epoch in (0, 1))
    orders = [[batch.labels.points for batch in plan.batches(segment)] for segment in (first, first, other)]

    assert np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])


def test_a_later_first_epoch_gives_the_same_epochs(plan):
    """The stream from epoch 1 is the end of the stream from epoch 0."""
    assert replace(plan, first_epoch=1).segments() == [s for s in plan.segments() if s.epoch == 1]


def test_the_number_of_segments_is_limited(plan):
    """A million objects have at most MAX_SEGMENTS segments per pass."""
    large = replace(plan.manifest, shards=("shard.parquet",) * 65_536, views={"train": 6_300_000, "val": 1_350_000})
    counts = Counter((s.epoch, s.split) for s in replace(plan, manifest=large).segments())

    assert set(counts.values()) == {128}


def test_a_training_alone_gets_the_batches_of_the_stream(plan):
    """A training that decodes its own samples has the same ones in the same order."""
    training, validation = alone_passes(plan)
    found = [batch for epoch in range(plan.epochs) for one_pass in (training, validation) for batch in one_pass(epoch)]
    expected = [batch for segment in plan.segments() for batch in plan.batches(segment)]

    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.images, other.images)
        for ours, theirs in zip(one.labels, other.labels, strict=True):
            assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_get_their_shares_of_every_step_in_order(plan, workers):
    """The shares that Ray gives to the workers together are the plan's batches, for any number of workers."""
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
