"""Work ahead of the caller: order, depth, errors."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from featurelib.runtime.prefetch import ahead, prefetched


@pytest.mark.parametrize("depth", [1, 3, 100])
def test_items_keep_their_order(depth):
    """Each item is yielded once, also if there are fewer than `depth`."""
    assert list(prefetched(iter(range(20)), depth)) == list(range(20))
    assert list(prefetched([], depth)) == []
    with ThreadPoolExecutor(4) as pool:
        assert list(ahead(pool, lambda n: n * n, range(20), depth)) == [n * n for n in range(20)]


def test_at_most_depth_items_are_taken_ahead():
    """The next items are ready before the caller asks for them, and no more than that."""
    taken, third = [], threading.Event()

    def items():
        for i in range(10):
            taken.append(i)
            if i == 2:
                third.set()
            yield i

    coming = prefetched(items(), 2)
    assert next(coming) == 0
    assert third.wait(10)
    assert len(taken) <= 1 + 2
    assert list(coming) == list(range(1, 10))


def test_an_error_is_raised_in_place_of_its_item():
    """The items before it arrive."""

    def items():
        yield 1
        raise ValueError("no")

    coming = prefetched(items(), 4)
    assert next(coming) == 1
    with pytest.raises(ValueError, match="no"):
        next(coming)
