"""A batch run in chunks by threads keeps all images and their order, for any size."""

import numpy as np
import pytest

from featurelib.models.inference import IMAGES_PER_RUN, num_chunks, run_in_chunks


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
@pytest.mark.parametrize("images", [1, 2, 9, 10, 32, 65])
def test_each_thread_has_equally_many_chunks(images, threads):
    """No chunk exceeds IMAGES_PER_RUN; the chunks divide evenly among the threads unless there are fewer images."""
    chunks = num_chunks(images, threads)

    assert chunks <= images
    assert -(-images // chunks) <= IMAGES_PER_RUN
    assert chunks == images or chunks % threads == 0


@pytest.mark.parametrize("count", [1, 7, 50])
def test_outputs_keep_the_order_of_the_images(count):
    """Row i of each output belongs to image i, whichever chunk ends first."""
    images = np.random.default_rng(count).integers(0, 256, (count, 4, 4, 1), np.uint8)
    sums, doubled = run_in_chunks(lambda chunk: (chunk.sum(axis=(1, 2, 3)), 2.0 * chunk), images)

    np.testing.assert_array_equal(sums, images.sum(axis=(1, 2, 3)))
    np.testing.assert_array_equal(doubled, 2.0 * images)


def test_an_error_in_a_thread_reaches_the_caller():
    """An exception in one chunk is raised by run_in_chunks."""

    def fail(chunk):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_in_chunks(fail, np.zeros((9, 1, 1, 1), np.uint8))
