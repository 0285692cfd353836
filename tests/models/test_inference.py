"""A batch that is dealt to threads comes back whole and in order, whatever its size."""

import numpy as np
import pytest

from featurelib.models.inference import PICTURES, num_parts, run_in_chunks


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
@pytest.mark.parametrize("images", [1, 2, 9, 10, 32, 65])
def test_every_thread_has_as_many_parts_to_do(images, threads):
    """No part is larger than a graph should have at once; the parts go round, unless there are fewer images."""
    parts = num_parts(images, threads)

    assert parts <= images
    assert -(-images // parts) <= PICTURES
    assert parts == images or parts % threads == 0


@pytest.mark.parametrize("count", [1, 7, 50])
def test_a_dealt_batch_comes_back_in_order(count):
    """Each output's rows are those of the images, in their order, though parts end in any."""
    images = np.random.default_rng(count).integers(0, 256, (count, 4, 4, 1), np.uint8)
    sums, doubled = run_in_chunks(lambda part: (part.sum(axis=(1, 2, 3)), 2.0 * part), images)

    np.testing.assert_array_equal(sums, images.sum(axis=(1, 2, 3)))
    np.testing.assert_array_equal(doubled, 2.0 * images)


def test_an_error_in_a_part_is_the_callers():
    """What goes wrong in a thread is not lost."""

    def fail(part):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_in_chunks(fail, np.zeros((9, 1, 1, 1), np.uint8))
