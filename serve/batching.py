"""Images that wait for the detector go to it together: a call takes both sides 7 ms of CPU, whatever it brings."""

from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from ray import serve

from featurelib.geometry import Projection
from featurelib.models.requests import Seen

Images = tuple[Projection, Sequence[bytes]]
"""PNGs of one request."""
BatchDetection = tuple[Seen, str]
"""What is seen of left and right in n images, and the network's version."""

BATCH = 32
"""Images of a call; more if one request has more."""
WAIT_S = 0.002
"""How long a request waits for others. A lone one loses 2 ms; under load the queue fills while calls are under way."""


def gathered(
    ask: Callable[[Projection, Sequence[bytes]], Awaitable[BatchDetection]], under_way: int
) -> Callable[[Images], Awaitable[BatchDetection]]:
    """Return `ask` for the images of one request, which puts those of many into one question.

    Args:
        ask: for images of one projection.
        under_way: questions at the same time.
    """

    @serve.batch(
        max_batch_size=BATCH, batch_wait_timeout_s=WAIT_S, max_concurrent_batches=under_way, batch_size_fn=num_images
    )
    async def ask_together(requests: list[Images]) -> list[BatchDetection]:
        answers: dict[int, BatchDetection] = {}
        for projection in {projection for projection, _ in requests}:
            mine = [i for i, request in enumerate(requests) if request[0] == projection]
            seen, version = await ask(projection, [png for i in mine for png in requests[i][1]])
            ends = np.cumsum([len(requests[i][1]) for i in mine])[:-1]
            parts = zip(np.split(seen.pair_xy, ends), np.split(seen.visible, ends), strict=True)
            answers |= {i: (Seen(*part), version) for i, part in zip(mine, parts, strict=True)}
        return [answers[i] for i in range(len(requests))]

    return ask_together


def num_images(requests: list[Images]) -> int:
    """Return how much of a batch some requests fill; a lone one always fits."""
    return sum(len(pngs) for _, pngs in requests) if len(requests) > 1 else 1
