"""One detector call for the images of all waiting requests: a call costs both sides 7 ms of CPU, whatever its size."""

from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from ray import serve

from featurelib.geometry import Projection
from featurelib.models.predictions import Detection

Images = tuple[Projection, Sequence[bytes]]
"""The PNGs of one request."""
BatchDetection = tuple[Detection, str]
"""The detection in n images, and the network's version."""

BATCH = 32
"""Images per call; more if one request has more."""
WAIT_S = 0.002
"""How long a request waits for others. A single request loses 2 ms; under load the queue fills during the calls."""


def batched_detector(
    call: Callable[[Projection, Sequence[bytes]], Awaitable[BatchDetection]], max_calls: int
) -> Callable[[Images], Awaitable[BatchDetection]]:
    """Return `call` for the images of one request; it combines those of concurrent requests.

    Args:
        call: for images of one projection.
        max_calls: concurrent calls.
    """

    @serve.batch(
        max_batch_size=BATCH, batch_wait_timeout_s=WAIT_S, max_concurrent_batches=max_calls, batch_size_fn=num_images
    )
    async def detect(requests: list[Images]) -> list[BatchDetection]:
        results: dict[int, BatchDetection] = {}
        for projection in {projection for projection, _ in requests}:
            mine = [i for i, request in enumerate(requests) if request[0] == projection]
            found, version = await call(projection, [png for i in mine for png in requests[i][1]])
            ends = np.cumsum([len(requests[i][1]) for i in mine])[:-1]
            parts = zip(np.split(found.landmarks_xy, ends), np.split(found.visible, ends), strict=True)
            results |= {i: (Detection(*part), version) for i, part in zip(mine, parts, strict=True)}
        return [results[i] for i in range(len(requests))]

    return detect


def num_images(requests: list[Images]) -> int:
    """Return how much of a batch some requests fill; a single request always fits."""
    return sum(len(pngs) for _, pngs in requests) if len(requests) > 1 else 1
