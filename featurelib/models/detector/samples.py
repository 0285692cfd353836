"""Training samples: rows of stored views, mirrored, shuffled and decoded to batches. PNGs are decoded last."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.shards.png import decode_png
from featurelib.geometry import LandmarkSet, mirror_permutation, mirror_xy, permuted

COLUMNS = ("png", "landmarks_xy", "landmarks_visible", "near")
"""The columns of a view's row that a sample uses."""


class Sample(NamedTuple):
    """A view's row with COLUMNS, and whether it is mirrored, if objects of its landmark set have mirror images."""

    view: dict[str, Any]
    mirrored: bool


class Labels(NamedTuple):
    """Labels of n images for k landmarks in s slots. None of them is NaN, so that a masked one changes no gradient.

    points: (n, k, 2) float32, xy; the image's centre where not known. known: (n, k) float32, 1 for a labelled landmark,
    0 for one that no loss and no error counts. near: (n, s) int32, which landmark of each slot is the nearer to the
    camera, by its index in the set; -1 if not known. visible: (n, k) float32, 1 if the landmark is not occluded.
    weight: (n,) float32, 0 for an image without known landmarks, or one that pads its batch.
    """

    points: Any
    known: Any
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


def with_mirrors(views: Iterable[dict[str, Any]], *, mirror: bool = True) -> Iterator[Sample]:
    """Yield each view twice, unchanged and mirrored.

    The mirrored image has the mirror images of the landmarks at 1 - x, so mirroring doubles the data without rendering.
    Front views and occluded landmarks are mirrored as well.

    Args:
        views: rows.
        mirror: if false, each view is yielded twice unchanged, so that a training has as many steps.
    """
    for view in views:
        yield Sample(view, False)
        yield Sample(view, mirror)


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


def batches(
    samples: Iterable[Sample],
    batch_size: int,
    input_size: int,
    landmarks: LandmarkSet,
    *,
    occluded: bool = True,
    pad: bool = False,
) -> Iterator[Batch]:
    """Decode samples, batch by batch; all batches have `batch_size` samples.

    Args:
        samples: in their order.
        batch_size: over all workers.
        input_size: width and height of the images.
        landmarks: the set of the labels.
        occluded: if false, the landmarks of a slot are masked in views that occlude its near one.
        pad: if true, the last batch is padded with samples of weight 0; otherwise a partial last batch is dropped.
    """
    batch: list[Sample] = []
    for sample in samples:
        batch.append(sample)
        if len(batch) == batch_size:
            yield _decode(batch, input_size, landmarks, occluded)
            batch.clear()
    if batch and pad:
        missing = batch_size - len(batch)
        images, labels = _decode([*batch, *repeat(batch[-1], missing)], input_size, landmarks, occluded)
        labels.weight[-missing:] = 0
        yield Batch(images, labels)


def _decode(samples: Sequence[Sample], input_size: int, landmarks: LandmarkSet, occluded: bool) -> Batch:
    images = decode_images([sample.view["png"] for sample in samples], input_size)
    views, permutation = [sample.view for sample in samples], mirror_permutation(landmarks)
    points = np.array([view["landmarks_xy"] for view in views], np.float32).reshape(len(views), -1, 2)
    visible = np.array([view["landmarks_visible"] for view in views], np.bool_)
    near = near_landmarks(np.array([view["near"] for view in views], np.int32), landmarks)
    if permutation is not None:
        mirrored = np.array([sample.mirrored for sample in samples])
        images[mirrored] = images[mirrored, :, ::-1]
        points[mirrored] = permuted(mirror_xy(points[mirrored]), permutation)
        visible[mirrored] = permuted(visible[mirrored], permutation, axis=-1)
        near[mirrored] = np.where(near[mirrored] < 0, -1, permutation[near[mirrored]])
    known = np.isfinite(points).all(axis=-1)
    if not occluded:
        seen = _seen(visible, near, landmarks)
        known, near = known & seen[:, landmarks.slot_of], np.where(seen, near, -1)
    points[~known] = 0.5
    masks = (known, visible, known.any(axis=-1))
    is_known, is_visible, weight = (mask.astype(np.float32) for mask in masks)
    return Batch(images, Labels(points, is_known, near, is_visible, weight))


def near_landmarks(near: NDArray[np.integer], landmarks: LandmarkSet) -> NDArray[np.int32]:
    """Return the index of the near landmark of each slot (..., s) from its place in the slot, 0 or 1; -1 remains -1."""
    left, right = landmarks.slots.T
    return np.where(near < 0, -1, np.where(near == 1, right, left)).astype(np.int32)


def _seen(visible: NDArray[np.bool_], near: NDArray[np.int32], landmarks: LandmarkSet) -> NDArray[np.bool_]:
    """Return whether the near landmark of each slot (n, s) is visible; if it is not known, whether either is."""
    either = visible[:, landmarks.slots].any(axis=-1)
    return np.where(near < 0, either, np.take_along_axis(visible, np.maximum(near, 0), axis=1))


def as_rgb(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images (n, s, s, c) with three channels, the network's input; grey images are not copied."""
    return np.broadcast_to(images, (*images.shape[:3], 3))
