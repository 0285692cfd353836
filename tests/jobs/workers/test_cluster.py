"""Tasks under way: never more than wanted, and every item once, with its own result."""

import ray

from jobs.workers.cluster import run_all


@ray.remote(num_cpus=0)
def squared(number):
    return number * number


def test_items_are_taken_as_there_is_room_and_answered_once(cluster):
    """A million shards are never in Ray's queue at once."""
    taken = []

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    found = {}
    for number, result in run_all(squared.remote, items(), max_waiting=3):
        found[number] = result
        assert len(taken) <= len(found) + 2, "more than three tasks were under way"
    assert found == {number: number**2 for number in range(20)}


def test_nothing_to_do_is_done_at_once(cluster):
    """A finished run asks for no task."""
    assert list(run_all(squared.remote, [])) == []
