"""PNG is lossless, and reducing is area averaging that commutes with mirroring."""

import io

import numpy as np
import pytest
from PIL import Image

from featurelib.datasets.shards import decode_png, encode_png


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3), (5, 7), (5, 7, 3)])
def test_png_is_lossless(shape):
    """PNG gives back the same pixels, grey as grey and colour as colour."""
    pixels = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)

    decoded = decode_png(encode_png(pixels))

    assert decoded.dtype == np.uint8
    assert decoded.shape == shape
    assert (decoded == pixels).all()


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize(("width", "size"), [(96, 32), (96, 48), (64, 64), (90, 30)])
def test_reducing_and_mirroring_commute(width, size, channels):
    """The reduced mirrored image is the mirrored reduced image to the bit, so mirrored labels stay exact."""
    pixels = np.random.default_rng(2).integers(0, 256, (width, width, *channels)).astype(np.uint8)

    mirrored_first = decode_png(encode_png(np.ascontiguousarray(pixels[:, ::-1])), size)

    assert mirrored_first.shape == (size, size, *channels)
    assert (mirrored_first == decode_png(encode_png(pixels), size)[:, ::-1]).all()


@pytest.mark.parametrize(("width", "size"), [(96, 32), (96, 48), (100, 30), (33, 32)])
def test_reducing_keeps_the_mean(width, size):
    """Area averaging keeps the mean, for sizes that divide and sizes that do not."""
    across = np.linspace(0, 255, width)
    pixels = ((across[:, None] + across) / 2).astype(np.uint8)

    assert decode_png(encode_png(pixels), size).mean() == pytest.approx(pixels.mean(), abs=0.5)


@pytest.mark.parametrize(("height", "width", "size"), [(24, 24, 8), (30, 21, 8), (16, 7, 7), (5, 3, 8)])
def test_reducing_is_the_mean_of_areas(height, width, size):
    """Each reduced pixel is the mean of its area, with parts of pixels, rounded to the nearest grey level."""
    pixels = np.random.default_rng(3).integers(0, 256, (height, width)).astype(np.uint8)

    fine = pixels.astype(float).repeat(size, axis=0).repeat(size, axis=1)
    means = fine.reshape(size, height, size, width).mean(axis=(1, 3))

    assert (decode_png(encode_png(pixels), size) == np.floor(means + 0.5)).all()


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("options", [{}, {"compress_level": 0}, {"optimize": True}])
def test_a_png_of_another_encoder_is_read(mode, options):
    """The pixels are the same for all filters and chunks of other encoders."""
    pixels = np.random.default_rng(4).integers(0, 256, (40, 30) if mode == "L" else (40, 30, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", **options)

    assert (decode_png(file.getvalue()) == pixels).all()
    assert (decode_png(file.getvalue(), 10) == decode_png(encode_png(pixels), 10)).all()


@pytest.mark.parametrize("end", [0, 60, -30])
def test_a_damaged_png_is_refused(end):
    """A truncated file is an error, never a partial image."""
    with pytest.raises(OSError, match=r"image|truncated|damaged"):
        decode_png(encode_png(np.random.default_rng(5).integers(0, 256, (64, 64)).astype(np.uint8))[:end])


def test_an_image_of_another_size_than_its_header_is_refused():
    """A stream with more or fewer rows than the header is an error."""
    tall, flat = (encode_png(np.full((height, 8), 7, np.uint8)) for height in (16, 8))

    with pytest.raises(OSError, match="damaged"):
        decode_png(tall[:33] + flat[33:])
