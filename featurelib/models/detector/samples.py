"""Training samples: rows of stored views, mirrored, shuffled and decoded to batches. PNGs are decoded last."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.shards.png import decode_png
from featurelib.geometry import SIDES, mirror_xy

COLUMNS = ("png", "left_xy", "right_xy", "left_visible", "right_visible", "near_side")
"""The columns of a view's row that a sample uses."""


class Sample(NamedTuple):
    """A view's row with COLUMNS, whether it is mirrored, and its weight in the loss."""

    view: dict[str, Any]
    mirrored: bool
    weight: float = 1.0


class Labels(NamedTuple):
    """Labels of n images; the instances of the landmark are in the order of SIDES.

    points: (n, 2, 2) float32, xy of both instances. near: (n,) int32, index of the instance nearer to the camera.
    visible: (n, 2) float32, 1 if the instance is not occluded. weight: (n,) float32, 0 for an image that pads its
    batch.
    """

    points: Any
    near: Any
    visible: Any
    weight: Any


class Batch(NamedTuple):
    """Images (n, s, s, c) uint8 and their labels."""

    images: NDArray[np.uint8]
    labels: Labels


def decode_images(pngs: Sequence[bytes], size: int) -> NDArray[np.uint8]:
    """Return images (n, size, size, c) of n PNGs, reduced by area averaging; c is 3 if any image has colour, else 1.

    With averages over whole pixels, the reduced mirror image is the mirror image of the reduced image.
    """
    images = [decode_png(png, size) for png in pngs]
    if not images:
        return np.empty((0, size, size, 1), np.uint8)
    if any(image.ndim == 3 for image in images):
        return np.stack([image if image.ndim == 3 else np.stack([image] * 3, -1) for image in images])
    return np.stack(images)[..., None]


def with_mirrors(views: Iterable[dict[str, Any]], *, mirror: bool = True, occluded: bool = True) -> Iterator[Sample]:
    """Yield each view twice, unchanged and mirrored.

    The mirrored image has the other instance of the landmark at 1 - x, so mirroring doubles the data without rendering.
    Front views and occluded instances are mirrored as well.

    Args:
        views: rows.
        mirror: if false, each view is yielded twice unchanged, so that a training has as many steps.
        occluded: if false, views in which the near instance is occluded have weight 0.
    """
    for view in views:
        weight = float(occluded or view[f"{view['near_side']}_visible"])
        yield Sample(view, False, weight)
        yield Sample(view, mirror, weight)


def shuffled(samples: Iterable[Sample], buffer_size: int, rng: np.random.Generator) -> Iterator[Sample]:
    """Yield each sample once, drawn at random from a buffer of the next samples.

    The buffer holds rows with encoded PNGs, so the memory does not depend on the size of the dataset.
    """
    buffer: list[Sample] = []
    for sample in chain(samples, repeat(None)):
        if sample is not None:
            buffer.append(sample)
            if len(buffer) <= buffer_size:
                continue
        elif not buffer:
            return
        i = int(rng.integers(len(buffer)))
        buffer[i], buffer[-1] = buffer[-1], buffer[i]
        yield buffer.pop()


def batches(samples: Iterable[Sample], batch_size: int, input_size: int, *, pad: bool = False) -> Iterator[Batch]:
    """Decode samples, batch by batch; all batches have `batch_size` samples.

    Args:
        samples: in their order.
        batch_size: over all workers.
        input_size: width and height of the images.
        pad: if true, the last batch is padded with samples of weight 0; otherwise a partial last batch is dropped.
    """
    batch: list[Sample] = []
    for sample in samples:
        batch.append(sample)
        if len(batch) == batch_size:
            yield _decode(batch, input_size)
            batch.clear()
    if batch and pad:
        missing = batch_size - len(batch)
        images, labels = _decode([*batch, *repeat(batch[-1], missing)], input_size)
        labels.weight[-missing:] = 0
        yield Batch(images, labels)


def _decode(samples: Sequence[Sample], input_size: int) -> Batch:
    images = decode_images([sample.view["png"] for sample in samples], input_size)
    mirrored = np.array([sample.mirrored for sample in samples])
    images[mirrored] = images[mirrored, :, ::-1]
    views = [sample.view for sample in samples]
    points = np.array([[view[f"{side}_xy"] for side in SIDES] for view in views], np.float32)
    near = np.array([SIDES.index(view["near_side"]) for view in views], np.int32)
    visible = np.array([[view[f"{side}_visible"] for side in SIDES] for view in views], np.float32)
    points[mirrored] = mirror_xy(points[mirrored])[:, ::-1]
    near[mirrored] = 1 - near[mirrored]
    visible[mirrored] = visible[mirrored, ::-1]
    return Batch(images, Labels(points, near, visible, np.array([sample.weight for sample in samples], np.float32)))


def as_rgb(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images (n, s, s, c) with three channels, the network's input; grey images are not copied."""
    return np.broadcast_to(images, (*images.shape[:3], 3))
