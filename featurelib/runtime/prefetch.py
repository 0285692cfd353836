"""Work that threads do ahead of their caller."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import islice, repeat, takewhile
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

END: Any = object()


def ahead(pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], depth: int) -> Iterator[Result]:
    """Yield function(item) of each item in order, while the pool works on the next `depth` items."""
    items = iter(items)
    coming = deque(pool.submit(function, item) for item in islice(items, depth))
    while coming:
        result = coming.popleft().result()
        coming.extend(pool.submit(function, item) for item in islice(items, 1))
        yield result


def prefetched(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """Yield the items in order, while a thread takes up to `depth` of the next ones.

    An error of the iterable is raised in place of its item.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as thread:
        taken = ahead(thread, lambda _: next(iterator, END), repeat(None), depth)
        yield from takewhile(lambda item: item is not END, taken)
