"""Training samples: a stored picture and a mirror flag in, an array out. Nothing is decoded before it is needed."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.geometry import mirror_xy
from featurelib.shards.files import decode_png

Sample = tuple[NDArray[np.uint8], NDArray[np.float32]]
"""A picture (s, s, c) and its near position (2,)."""


def decode_pictures(pngs: Sequence[bytes], size: int) -> NDArray[np.uint8]:
    """Return pictures (n, size, size, c) of n PNGs, reduced by area averaging; c is 3 if any has colour, else 1.

    Averaging over whole pixels keeps the reduced picture of a mirrored view the mirror of the reduced picture.
    """
    pictures = [decode_png(png, size) for png in pngs]
    if not pictures:
        return np.empty((0, size, size, 1), np.uint8)
    if any(picture.ndim == 3 for picture in pictures):
        return np.stack([picture if picture.ndim == 3 else np.stack([picture] * 3, -1) for picture in pictures])
    return np.stack(pictures)[..., None]


def with_mirrors(pictures: NDArray[np.uint8], xy: ArrayLike) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return every sample twice, as it is and mirrored: pictures (2n, s, s, c) and near positions (2n, 2).

    The flipped picture shows the other instance of the landmark at 1 - x, so mirroring doubles the data
    without rendering. Front views and hidden instances are mirrored like all others.
    """
    xy = np.asarray(xy, dtype=np.float32)
    return (
        np.concatenate([pictures, pictures[:, :, ::-1]]),
        np.concatenate([xy, mirror_xy(xy).astype(np.float32)]),
    )


def shuffled_batches(
    chunks: Iterable[tuple[NDArray[np.uint8], NDArray[np.float32]]], batch_size: int, buffer_size: int, seed: int
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    """Yield batches of whole size, drawn at random from a buffer that the chunks fill; a last partial one is dropped.

    Every sample comes at most once. The buffer bounds the memory whatever the dataset's size.
    """
    rng = np.random.default_rng(seed)
    buffer: list[Sample] = []
    batch: list[Sample] = []

    def draw() -> Sample:
        i = int(rng.integers(len(buffer)))
        buffer[i], buffer[-1] = buffer[-1], buffer[i]
        return buffer.pop()

    samples = (sample for chunk in chunks for sample in zip(*chunk, strict=True))
    for sample in chain(samples, repeat(None)):
        if sample is not None:
            buffer.append((sample[0].copy(), sample[1]))  # a view would keep its whole chunk alive
            if len(buffer) <= buffer_size:
                continue
        elif not buffer:
            return
        batch.append(draw())
        if len(batch) == batch_size:
            yield np.stack([picture for picture, _ in batch]), np.stack([xy for _, xy in batch])
            batch.clear()


def as_rgb(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pictures (n, s, s, c) with three channels, as the network wants them; grey is not copied."""
    return np.broadcast_to(pictures, (*pictures.shape[:3], 3))
