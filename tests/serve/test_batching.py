"""Images of concurrent requests go to the detector in few calls, and each request gets its own result."""

import asyncio

import numpy as np
import pytest
from ray import serve as ray_serve

from featurelib.models.predictions import Detection
from serve.batching import BATCH, batched_detector, num_images


@ray_serve.deployment
class Caller:
    """Sends many requests at once, as an ingress does; its detector returns the number that an image holds."""

    async def __call__(self, requests):
        calls = []

        async def detect(projection, pngs):
            calls.append((projection, len(pngs)))
            await asyncio.sleep(0.05)
            numbers = np.array([int(png) for png in pngs], float)
            landmarks_xy = np.broadcast_to(numbers[:, None, None], (len(pngs), 5, 2))
            return Detection(landmarks_xy, numbers[:, None]), projection

        batched = batched_detector(detect, max_calls=2)
        return calls, await asyncio.gather(*(batched(request) for request in requests))


@pytest.fixture(scope="module")
def send(address):
    """Sends requests to a replica at once; returns the detector's calls and the results."""
    handle = ray_serve.run(Caller.bind(), name="caller", route_prefix=None)
    yield lambda requests: handle.remote(requests).result(timeout_s=60)
    ray_serve.delete("caller")


def requests_of(*sizes):
    """Requests with these numbers of images, all different, in two alternating projections."""
    numbers = iter(range(sum(sizes)))
    projections = ("orthographic", "perspective")
    return [(projections[i % 2], [b"%d" % next(numbers) for _ in range(size)]) for i, size in enumerate(sizes)]


@pytest.mark.parametrize("sizes", [[1] * 40, [9, 1, 9, 9, 1, 1, 9, 40, 1], [100]])
def test_each_request_gets_its_own_result(send, sizes):
    """However requests share calls, each gets its images in order, from its projection's network."""
    requests = requests_of(*sizes)
    calls, results = send(requests)

    for (projection, pngs), (found, version) in zip(requests, results, strict=True):
        assert version == projection
        np.testing.assert_array_equal(found.visible[:, 0], [int(png) for png in pngs])
        np.testing.assert_array_equal(found.landmarks_xy[:, 1, 1], found.visible[:, 0])
    assert sum(count for _, count in calls) == sum(sizes)


def test_waiting_requests_share_calls(send):
    """Forty concurrent requests make at most eight calls, none larger than a batch."""
    calls, _ = send(requests_of(*[1] * 40))

    assert len(calls) <= 8
    assert max(count for _, count in calls) <= BATCH


def test_a_single_request_always_fits():
    """A request larger than a batch fits alone; together with others it counts all its images."""
    many = ("orthographic", [b""] * (BATCH + 1))

    assert num_images([many]) <= BATCH
    assert num_images([many, many]) == 2 * (BATCH + 1)
