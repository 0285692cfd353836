"""Pictures that wait for the detector go to it in few calls, and every request gets its own answers back."""

import asyncio

import numpy as np
import pytest
from ray import serve as ray_serve

from featurelib.models.requests import Seen
from serve.batching import BATCH, gathered, num_images


@ray_serve.deployment
class Asker:
    """Asks many times at once, as a front does; its detector sees in a picture what the picture says."""

    async def __call__(self, requests):
        calls = []

        async def ask(projection, pngs):
            calls.append((projection, len(pngs)))
            await asyncio.sleep(0.05)
            said = np.array([int(png) for png in pngs], float)
            return Seen(np.broadcast_to(said[:, None, None], (len(pngs), 2, 2)), said[:, None]), projection

        ask_gathered = gathered(ask, under_way=2)
        answers = await asyncio.gather(*(ask_gathered(request) for request in requests))
        return calls, answers


@pytest.fixture(scope="module")
def ask(address):
    """Puts requests to a replica at once; returns the detector's calls and the answers."""
    handle = ray_serve.run(Asker.bind(), name="asker", route_prefix=None)
    yield lambda requests: handle.remote(requests).result(timeout_s=60)
    ray_serve.delete("asker")


def requests_of(*sizes):
    """Requests of so many pictures each, every one with a number of its own, in two projections by turns."""
    numbers = iter(range(sum(sizes)))
    projections = ("orthographic", "perspective")
    return [(projections[i % 2], [b"%d" % next(numbers) for _ in range(size)]) for i, size in enumerate(sizes)]


@pytest.mark.parametrize("sizes", [[1] * 40, [9, 1, 9, 9, 1, 1, 9, 40, 1], [100]])
def test_every_request_gets_its_own_answer(ask, sizes):
    """However requests share calls, each is told of its own pictures, in order, by its own projection's network."""
    requests = requests_of(*sizes)
    calls, answers = ask(requests)

    for (projection, pngs), (seen, version) in zip(requests, answers, strict=True):
        assert version == projection
        np.testing.assert_array_equal(seen.visible[:, 0], [int(png) for png in pngs])
        np.testing.assert_array_equal(seen.pair_xy[:, 1, 1], seen.visible[:, 0])
    assert sum(count for _, count in calls) == sum(sizes)


def test_requests_that_wait_share_calls(ask):
    """Forty requests that come at once are a few calls, none larger than a batch."""
    calls, _ = ask(requests_of(*[1] * 40))

    assert len(calls) <= 8
    assert max(count for _, count in calls) <= BATCH


def test_a_lone_request_always_fits():
    """One with more pictures than a batch holds is not refused; together with others it counts what it has."""
    many = ("orthographic", [b""] * (BATCH + 1))

    assert num_images([many]) <= BATCH
    assert num_images([many, many]) == 2 * (BATCH + 1)
