"""The distribution of shards over the detector's tasks."""

import itertools

import pytest

from jobs.drivers.vectorize import MAX_SHARDS_PER_TASK, task_sizes


@pytest.mark.parametrize(("shards", "workers"), [(1, 4), (7, 2), (32, 2), (400, 16), (65_536, 64)])
def test_every_shard_is_in_one_task_and_the_last_tasks_are_small(shards, workers):
    """Tasks become smaller; the last one has one shard."""
    sizes = task_sizes(shards, workers)

    assert sum(sizes) == shards
    assert all(before >= after for before, after in itertools.pairwise(sizes))
    assert 1 <= min(sizes) <= max(sizes) <= MAX_SHARDS_PER_TASK
    assert sizes[-1] == 1


def test_a_task_takes_a_workers_share_of_half_of_the_remaining_shards():
    sizes = task_sizes(32, 2)

    assert sizes[:4] == [8, 6, 4, 3]
