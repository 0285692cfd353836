"""Training samples as one Ray Data stream from the shards: read, drop by split, decode, mirror.

One execution serves all epochs: the plan names each shard once an epoch, in an order drawn anew. A stream
that is opened again for every epoch pays 15 s for each on two cores, to start its tasks and to drain.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from featurelib.detector.samples import decode_pictures, with_mirrors
from featurelib.shards import Manifest, read_views

Chunk = tuple[NDArray[np.uint8], NDArray[np.float32]]
"""Pictures (n, s, s, c) and near positions (n, 2) of one shard."""


def sample_stream(manifest: Manifest, input_size: int, *, epochs: int, seed: int) -> ray.data.Dataset:
    """Return the samples of `epochs` epochs, each its training views and then its validation views.

    Columns: epoch, split, picture (s, s, c) uint8 and xy (2,) float32. Other splits are dropped by column while
    reading, before any picture is decoded. Training views come twice, as they are and mirrored, their shards
    in the seed's order; a block of the stream is what one shard holds.
    """
    rng = np.random.default_rng(seed)
    shards = manifest.shard_uris
    plan = [
        {"epoch": epoch, "split": split, "uri": shards[i]}
        for epoch in range(epochs)
        for split, order in (("train", rng.permutation(len(shards))), ("val", range(len(shards))))
        for i in order
    ]
    return ray.data.from_items(plan, override_num_blocks=len(plan)).map_batches(
        _read_samples, batch_size=1, batch_format="numpy", fn_kwargs={"input_size": input_size}
    )


def passes_of(share: ray.data.DataIterator) -> Iterator[Iterator[Chunk]]:
    """Yield the passes of a worker's share of a sample_stream: training, validation, training, and so on."""
    blocks = (block for block in share.iter_batches(batch_size=None, prefetch_batches=2) if len(block["xy"]))
    for _, one_pass in groupby(blocks, key=lambda block: (int(block["epoch"][0]), str(block["split"][0]))):
        yield ((block["picture"], block["xy"]) for block in one_pass)


def _read_samples(batch: dict[str, np.ndarray], input_size: int) -> dict[str, Any]:
    """Columns in: epoch, split, uri, one row. Columns out: epoch, split, picture, xy."""
    split = str(batch["split"][0])
    views = read_views(str(batch["uri"][0]), split=split, columns=("png", "xy"))
    pictures = decode_pictures([view["png"] for view in views], input_size)
    xy = np.array([view["xy"] for view in views], dtype=np.float32).reshape(-1, 2)
    if split == "train":
        pictures, xy = with_mirrors(pictures, xy)
    count = len(xy)
    return {
        "epoch": np.repeat(batch["epoch"], count),
        "split": np.repeat(batch["split"], count),
        "picture": pictures,
        "xy": xy,
    }
