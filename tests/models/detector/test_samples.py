import weakref
from dataclasses import replace

import numpy as np
import pytest

from featurelib.datasets.shards import encode_png
from featurelib.geometry import LandmarkSet
from featurelib.models.detector.samples import (
    Sample,
    as_rgb,
    batches,
    decode_images,
    near_landmarks,
    shuffled,
    with_mirrors,
)

PAIR = LandmarkSet.single_pair("ear")
MIXED = LandmarkSet((("a_left", "a_right"), ("b_left", "b_right")), midline=("nose",), unpaired=("scar",))
"""k = 6 landmarks in s = 4 slots."""

RNG = np.random.default_rng(0)


def images(count: int, size: int = 4, channels: int = 1) -> np.ndarray:
    return RNG.integers(0, 256, (count, size, size, channels)).astype(np.uint8)


def view(image: np.ndarray, **columns) -> dict:
    """Return a view's row of PAIR, with the left landmark near and visible and the right one occluded."""
    labels = {"landmarks_xy": [0.25, 0.5, 0.625, 0.75], "landmarks_visible": [True, False], "near": [0]}
    return {"png": encode_png(image.squeeze()), **labels, **columns}


def mixed_view(**columns) -> dict:
    """Return a view's row of MIXED: b_right is not labelled, and a_left and nose are occluded."""
    xy = [0.25, 0.5, 0.625, 0.75, 0.125, 0.25, np.nan, np.nan, 0.5, 0.375, 0.75, 0.875]
    visible = [False, True, True, False, False, True]
    return view(images(1)[0], landmarks_xy=xy, landmarks_visible=visible, near=[0, -1, 0, 0], **columns)


def numbered(count: int):
    """Yield samples of PAIR whose left landmark is at x = i."""
    image = images(1)[0]
    for i in range(count):
        yield Sample(view(image, landmarks_xy=[i, 0.0, 0.0, 0.0]), False)


def numbers_of(samples) -> list[int]:
    return [int(sample.view["landmarks_xy"][0]) for sample in samples]


@pytest.mark.parametrize("channels", [1, 3])
def test_mirroring_doubles_the_samples(channels):
    """A mirrored image is a second sample, of the other landmark of the pair at 1 - x."""
    originals = images(5, channels=channels)

    [(decoded, labels)] = batches(with_mirrors(map(view, originals)), 10, 4, PAIR)

    assert (decoded[0::2] == originals).all()
    assert (decoded[1::2] == originals[:, :, ::-1]).all()
    assert (labels.points[0::2] == [[0.25, 0.5], [0.625, 0.75]]).all()
    assert (labels.points[1::2] == [[0.375, 0.75], [0.75, 0.5]]).all()
    assert (labels.near.reshape(-1, 2) == [0, 1]).all()
    assert (labels.known == 1).all()
    assert (labels.visible[0::2] == [1, 0]).all()
    assert (labels.visible[1::2] == [0, 1]).all()


def test_without_mirroring_or_occluded_views_the_number_of_samples_stays():
    """Without mirroring each image is repeated; without occluded views these have weight 0."""
    seen, occluded = images(2)
    views = [view(seen), view(occluded, landmarks_visible=[False, False])]

    [(plain, labels)] = batches(with_mirrors(views, mirror=False), 4, 4, PAIR)
    assert (plain == np.repeat([seen, occluded], 2, axis=0)).all()
    assert (labels.weight == 1).all()
    [(_, labels)] = batches(with_mirrors(views), 4, 4, PAIR, occluded=False)
    assert (labels.weight == [1, 1, 0, 0]).all()
    assert (labels.known == [[1, 1], [1, 1], [0, 0], [0, 0]]).all()


def test_labels_that_are_missing_are_masked():
    """They are known = 0 at a finite place, and a pair without both labels has no near one."""
    [(_, labels)] = batches([Sample(mixed_view(), False)], 1, 4, MIXED)

    assert labels.known.tolist() == [[1, 1, 1, 0, 1, 1]]
    assert labels.near.tolist() == [[0, -1, 4, 5]]
    assert np.isfinite(labels.points).all()
    places = [[0.25, 0.5], [0.625, 0.75], [0.125, 0.25], [0.5, 0.375], [0.75, 0.875]]
    assert labels.points[0, [0, 1, 2, 4, 5]].tolist() == places


def test_swapped_names_leave_unpaired_landmarks_out_of_mirrored_samples():
    """Of a mirrored object pairs are exchanged, midline landmarks are kept, and unpaired ones are not known."""
    [(_, labels)] = batches([Sample(mixed_view(), True)], 1, 4, MIXED)

    assert labels.known.tolist() == [[1, 1, 0, 1, 1, 0]]
    assert labels.near.tolist() == [[1, -1, 4, -1]]
    assert labels.visible.tolist() == [[1, 0, 0, 1, 0, 0]]
    assert labels.points[0, [0, 1, 3, 4]].tolist() == [[0.375, 0.75], [0.75, 0.5], [0.875, 0.25], [0.5, 0.375]]


def test_the_same_names_stay_with_the_mirrored_landmarks():
    """With mirror `same` each landmark moves to 1 - x, and the near one of a pair is the near one."""
    same = replace(MIXED, mirror="same")
    [(plain, labels)], [(flipped, mirrored)] = (
        list(batches([Sample(mixed_view(), is_mirrored)], 1, 4, same)) for is_mirrored in (False, True)
    )

    known = labels.known[0] == 1
    assert (mirrored.points[0, known] == labels.points[0, known] * [-1, 1] + [1, 0]).all()
    for name in ("known", "near", "visible", "weight"):
        assert np.array_equal(getattr(mirrored, name), getattr(labels, name)), name
    assert plain.shape == flipped.shape


def test_an_object_without_a_mirror_image_is_not_mirrored():
    """With mirror `none` each view is a sample twice."""
    views = [mixed_view(), mixed_view()]
    [(pictures, labels)] = batches(with_mirrors(views), 4, 4, replace(MIXED, mirror="none"))

    for part in (pictures, *labels):
        assert np.array_equal(part[0::2], part[1::2])
    assert (labels.known[:, 5] == 1).all()


def test_occluded_slots_can_be_masked_one_by_one():
    """A slot is masked if its near landmark is occluded; if that is not known, if none of its landmarks is visible."""
    [(_, labels)] = batches([Sample(mixed_view(), False)], 1, 4, MIXED, occluded=False)

    assert labels.known.tolist() == [[0, 0, 1, 0, 0, 1]]
    assert labels.near.tolist() == [[-1, -1, -1, 5]]
    assert labels.weight.tolist() == [1]


def test_the_near_landmarks_have_indices_of_the_set():
    """0 and 1 are the places in the slot; -1 is not known."""
    near = np.array([[0, 1, 0, 0], [1, -1, 0, -1]], np.int8)

    assert near_landmarks(near, MIXED).tolist() == [[0, 3, 4, 5], [1, -1, 4, -1]]


def test_mirroring_moves_the_landmark_with_its_pixel():
    """A landmark at a marked pixel's centre is at that pixel's centre in the mirrored image."""
    image = np.zeros((8, 8, 1), np.uint8)
    image[2, 6] = 255
    samples = with_mirrors([view(image, landmarks_xy=[(6 + 0.5) / 8, (2 + 0.5) / 8, 0, 0])])

    [(decoded, labels)] = batches(samples, 2, 8, PAIR)

    for pixels, points, [near] in zip(decoded, labels.points, labels.near, strict=True):
        column, row = np.floor(points[near] * 8).astype(int)
        assert pixels[row, column, 0] == 255


def test_the_mirror_of_a_mirrored_image_is_the_image():
    """A view that is stored mirrored and mirrored again is the sample of the original."""
    original = images(1, 8)[0]
    labels = {"landmarks_xy": [0.375, 0.75, 0.75, 0.5], "landmarks_visible": [False, True], "near": [1]}
    flipped = view(original[:, ::-1], **labels)

    samples = (Sample(view(original), False), Sample(flipped, True))
    [plain], [again] = (list(batches([sample], 1, 8, PAIR)) for sample in samples)

    assert (plain.images == again.images).all()
    assert all((a == b).all() for a, b in zip(plain.labels, again.labels, strict=True))


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_decoded_to_one_array(channels):
    """PNGs of one kind become (n, size, size, c); at their own size they are unchanged."""
    originals = images(3, 8, channels)
    pngs = [encode_png(image.squeeze()) for image in originals]

    assert (decode_images(pngs, 8) == originals).all()
    assert decode_images(pngs, 4).shape == (3, 4, 4, channels)


def test_grey_among_colour_becomes_colour():
    """If any image has colour, grey ones get three equal channels."""
    grey, colour = images(1, 8)[0], images(1, 8, 3)[0]

    decoded = decode_images([encode_png(grey[:, :, 0]), encode_png(colour)], 8)

    assert (decoded[0] == grey).all()
    assert (decoded[1] == colour).all()
    assert decoded.shape == (2, 8, 8, 3)


def test_no_views_give_no_batches():
    """A shard without rows of a split gives an empty array of the right rank, and no batch."""
    assert decode_images([], 8).shape == (0, 8, 8, 1)
    assert list(batches(with_mirrors([]), 4, 8, PAIR, pad=True)) == []


@pytest.mark.parametrize("channels", [1, 3])
def test_three_channels_need_no_memory(channels):
    """The three channels are the image's own, or a view of its single one."""
    originals = images(2, channels=channels)

    rgb = as_rgb(originals)

    assert rgb.shape == (2, 4, 4, 3)
    assert (rgb == originals).all()
    assert np.shares_memory(rgb, originals)


@pytest.mark.parametrize(("count", "size"), [(100, 8), (96, 8), (7, 8), (0, 8), (5, 1)])
def test_all_batches_have_the_same_size(count, size):
    """Training drops a partial last batch; validation pads it with weight 0."""
    trained = list(batches(numbered(count), size, 4, PAIR))
    validated = list(batches(numbered(count), size, 4, PAIR, pad=True))

    assert [len(batch.images) for batch in trained] == [size] * (count // size)
    assert [len(batch.images) for batch in validated] == [size] * -(-count // size)
    seen = [batch.labels.points[batch.labels.weight == 1, 0, 0] for batch in validated]
    assert np.array_equal(np.concatenate([[], *seen]), np.arange(count))


@pytest.mark.parametrize(("count", "buffer_size"), [(100, 30), (20, 50), (0, 30), (50, 0)])
def test_each_sample_is_yielded_once(count, buffer_size):
    """Shuffling loses and repeats no sample."""
    order = numbers_of(shuffled(numbered(count), buffer_size, np.random.default_rng(1)))

    assert sorted(order) == list(range(count))


def test_the_seed_determines_the_order():
    """The same seed gives the same order, another seed another."""
    first, same, other = (numbers_of(shuffled(numbered(200), 50, np.random.default_rng(seed))) for seed in (1, 1, 2))

    assert first == same != other


def test_samples_are_really_shuffled():
    """With a buffer for all samples, positions before and after hardly correlate."""
    order = numbers_of(shuffled(numbered(2000), 2000, np.random.default_rng(3)))

    # Ranks of a random order correlate by 0 +- 1 / sqrt(2000).
    assert abs(np.corrcoef(order, np.arange(2000))[0, 1]) < 4 / np.sqrt(2000)
    assert (np.diff(order) == 1).mean() < 0.01


def test_a_small_buffer_mixes_objects():
    """A buffer of a few objects (18 samples each) puts samples of different objects into each batch."""
    order = np.array(numbers_of(shuffled(numbered(900), 180, np.random.default_rng(4))))

    assert all(len(set(batch // 18)) > 4 for batch in order[:896].reshape(-1, 16))


@pytest.mark.parametrize("buffer_size", [0, 30, 100])
def test_the_stream_is_read_ahead_by_the_buffer_at_most(buffer_size):
    """When a sample is yielded, at most the buffer was read beyond it."""
    read = 0

    def counted():
        nonlocal read
        for sample in numbered(500):
            read += 1
            yield sample

    for given, _ in enumerate(shuffled(counted(), buffer_size, np.random.default_rng(1)), start=1):
        assert read <= given + buffer_size
    assert read == 500


def test_a_yielded_sample_is_released():
    """The buffer bounds the number of samples in memory, and holds encoded PNGs: decoding is part of the batch."""

    class Row(dict):
        """A dict that a weak reference can watch."""

    alive = most = 0

    def free() -> None:
        nonlocal alive
        alive -= 1

    def watched():
        nonlocal alive, most
        for sample in numbered(400):
            row = Row(sample.view)
            weakref.finalize(row, free)
            alive += 1
            most = max(most, alive)
            assert isinstance(row["png"], bytes)
            yield Sample(row, False)

    for _ in batches(shuffled(watched(), 100, np.random.default_rng(1)), 8, 4, PAIR):
        pass

    assert alive == 0
    assert most <= 100 + 8 + 3  # the buffer, the batch, and the generators' current samples
