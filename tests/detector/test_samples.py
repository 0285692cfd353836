import weakref

import numpy as np
import pytest

from featurelib.detector.samples import as_rgb, decode_pictures, shuffled_batches, with_mirrors
from featurelib.shards import encode_png

RNG = np.random.default_rng(0)


def pictures(count: int, size: int = 4, channels: int = 1) -> np.ndarray:
    return RNG.integers(0, 256, (count, size, size, channels)).astype(np.uint8)


def numbered(count: int, chunk_size: int):
    """Yield samples in chunks; sample i has x = i, and a picture that is filled with i % 256."""
    for start in range(0, count, chunk_size):
        numbers = np.arange(start, min(start + chunk_size, count))
        filled = np.broadcast_to(numbers.astype(np.uint8)[:, None, None, None], (len(numbers), 4, 4, 1)).copy()
        yield filled, np.stack([numbers, numbers], axis=-1).astype(np.float32)


def numbers_of(batches) -> list[list[int]]:
    return [xy[:, 0].astype(int).tolist() for _, xy in batches]


@pytest.mark.parametrize("channels", [1, 3])
def test_mirroring_doubles_the_samples(channels):
    """The lesson of the near instance: a flipped picture is a second sample, with its landmark at 1 - x."""
    originals, xy = pictures(5, channels=channels), RNG.random((5, 2)).astype(np.float32)

    doubled, doubled_xy = with_mirrors(originals, xy)

    assert (doubled[:5] == originals).all()
    assert (doubled[5:] == originals[:, :, ::-1]).all()
    assert (doubled_xy[:5] == xy).all()
    assert (doubled_xy[5:] == np.stack([1 - xy[:, 0], xy[:, 1]], axis=-1)).all()
    assert (doubled.dtype, doubled_xy.dtype) == (np.uint8, np.float32)


def test_mirroring_moves_the_landmark_with_its_pixel():
    """A landmark at a marked pixel's centre is at that pixel's centre in the mirrored picture too."""
    picture = np.zeros((1, 8, 8, 1), np.uint8)
    picture[0, 2, 6] = 255

    (_, mirrored), (_, xy) = with_mirrors(picture, [[(6 + 0.5) / 8, (2 + 0.5) / 8]])

    row, column = np.floor(xy[::-1] * 8).astype(int)
    assert mirrored[row, column, 0] == 255


def test_mirroring_twice_brings_the_samples_back():
    """The mirror of the mirror is the original."""
    originals, xy = pictures(3), np.float32([[0.25, 0.5], [0, 1], [0.75, 0.125]])

    mirrored, mirrored_xy = (part[3:] for part in with_mirrors(originals, xy))
    again, again_xy = (part[3:] for part in with_mirrors(mirrored, mirrored_xy))

    assert (again == originals).all()
    assert (again_xy == xy).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_decoded_to_one_array(channels):
    """PNGs of one kind become (n, size, size, c); at their own size nothing is lost."""
    originals = pictures(3, 8, channels)
    pngs = [encode_png(picture.squeeze()) for picture in originals]

    assert (decode_pictures(pngs, 8) == originals).all()
    assert decode_pictures(pngs, 4).shape == (3, 4, 4, channels)


def test_grey_among_colour_becomes_colour():
    """Where any picture has colour, grey ones take three equal channels."""
    grey, colour = pictures(1, 8)[0], pictures(1, 8, 3)[0]

    decoded = decode_pictures([encode_png(grey[:, :, 0]), encode_png(colour)], 8)

    assert (decoded[0] == grey).all()
    assert (decoded[1] == colour).all()
    assert decoded.shape == (2, 8, 8, 3)


def test_nothing_to_decode():
    """A shard without rows of a split gives an empty array of the right rank."""
    assert decode_pictures([], 8).shape == (0, 8, 8, 1)
    assert [len(part) for part in with_mirrors(decode_pictures([], 8), np.empty((0, 2)))] == [0, 0]


@pytest.mark.parametrize("channels", [1, 3])
def test_three_channels_cost_no_memory(channels):
    """The network's three channels are the picture's own, or a view of its one."""
    originals = pictures(2, channels=channels)

    rgb = as_rgb(originals)

    assert rgb.shape == (2, 4, 4, 3)
    assert (rgb == originals).all()
    assert np.shares_memory(rgb, originals)


@pytest.mark.parametrize(
    ("count", "chunk_size", "batch_size", "buffer_size"),
    [(100, 7, 8, 30), (96, 7, 8, 30), (20, 7, 8, 50), (7, 7, 8, 30), (0, 7, 8, 30), (50, 1, 4, 0), (50, 60, 1, 5)],
)
def test_each_sample_comes_once_in_whole_batches(count, chunk_size, batch_size, buffer_size):
    """All whole batches come; no sample comes twice, and only fewer than a batch are left out."""
    batches = list(shuffled_batches(numbered(count, chunk_size), batch_size, buffer_size, seed=1))

    seen = [number for batch in numbers_of(batches) for number in batch]
    assert [len(xy) for _, xy in batches] == [batch_size] * (count // batch_size)
    assert len(set(seen)) == len(seen)
    assert set(seen) <= set(range(count))


def test_pictures_and_positions_stay_together():
    """Shuffling never separates a picture from its position."""
    for batch, xy in shuffled_batches(numbered(200, 16), 8, 40, seed=1):
        assert (batch == xy[:, 0].astype(int)[:, None, None, None]).all()


def test_the_seed_decides_the_order():
    """The same seed gives the same batches, another seed others."""
    first, same, other = (numbers_of(shuffled_batches(numbered(200, 16), 8, 50, seed)) for seed in (1, 1, 2))

    assert first == same != other


def test_samples_are_really_shuffled():
    """With room for all, neighbours in the stream are strangers in the batches: positions hardly correlate."""
    [order] = numbers_of(shuffled_batches(numbered(2000, 50), 2000, 2000, seed=3))

    # Ranks of a random order correlate by 0 +- 1 / sqrt(2000).
    assert abs(np.corrcoef(order, np.arange(2000))[0, 1]) < 4 / np.sqrt(2000)
    follows = np.diff(order) == 1
    assert follows.mean() < 0.01


def test_a_small_buffer_mixes_chunks():
    """A buffer of a few chunks puts samples of different chunks (objects) into each batch."""
    for batch in numbers_of(shuffled_batches(numbered(900, 18), 16, 180, seed=4)):
        assert len({number // 18 for number in batch}) > 4


@pytest.mark.parametrize(("batch_size", "buffer_size"), [(8, 30), (16, 0), (1, 100)])
def test_the_stream_is_never_read_far_ahead(batch_size, buffer_size):
    """The lesson of the endless shuffle: when a batch comes, no more than the buffer was read beyond it."""
    read = 0

    def counted():
        nonlocal read
        for chunk in numbered(500, 1):
            read += 1
            yield chunk

    for given, _ in enumerate(shuffled_batches(counted(), batch_size, buffer_size, seed=1), start=1):
        assert read <= given * batch_size + buffer_size
    assert read == 500


def test_a_chunk_is_let_go_when_its_samples_are_taken():
    """The buffer keeps pictures, not the chunks they came in: at most the current and the next chunk are alive."""
    made = freed = most = 0

    def free() -> None:
        nonlocal freed
        freed += 1

    def watched():
        nonlocal made, most
        for chunk in numbered(400, 20):
            weakref.finalize(chunk[0], free)
            made += 1
            most = max(most, made - freed)
            yield chunk

    for _ in shuffled_batches(watched(), 8, 200, seed=1):
        pass

    assert (made, freed) == (20, 20)
    assert most <= 2
