"""What ends workers in tests of the jobs."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest


@pytest.fixture
def ending_workers(ray_workers) -> Callable:
    """A context that ends the first workers with a word in their titles, one after the other; yields their list.

    With one worker at a time these are the workers of one block, since a lost task is started again first.
    """

    @contextmanager
    def during(word: str, times: int) -> Iterator[list[int]]:
        ended: list[int] = []
        leaves = threading.Event()

        def end() -> None:
            while len(ended) < times and not leaves.is_set():
                for worker in ray_workers(word):
                    if worker.pid not in ended:
                        with suppress(psutil.Error):
                            worker.kill()
                            ended.append(worker.pid)
                time.sleep(0.01)

        thread = threading.Thread(target=end)
        thread.start()
        try:
            yield ended
        finally:
            leaves.set()
            thread.join()

    return during
