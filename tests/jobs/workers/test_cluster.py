import ray

from jobs.workers.cluster import run_all


@ray.remote(num_cpus=0)
def squared(number):
    return number * number


def test_submitted_tasks_are_limited(cluster):
    """Each item is submitted once and yielded with its result, and at most three tasks wait at a time."""
    submitted = []

    def items():
        for number in range(20):
            submitted.append(number)
            yield number

    found = {}
    for number, result in run_all(squared.remote, items(), max_waiting=3):
        found[number] = result
        assert len(submitted) <= len(found) + 2, "more than three tasks were submitted"
    assert found == {number: number**2 for number in range(20)}


def test_no_items_submit_no_task(cluster):
    """The result is empty."""
    assert list(run_all(squared.remote, [])) == []
