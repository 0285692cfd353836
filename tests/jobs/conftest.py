"""What ends workers in tests of the jobs."""

import fcntl
import functools
import signal
import threading
import time
from contextlib import suppress

import psutil
import pytest


class Saboteur:
    """Ends the worker that is about to read a file, with its children, some number of times.

    It holds a lease on the file: whoever opens it waits until the lease is given up.
    """

    def __init__(self, path, title, times, workers):
        self.path, self.title, self.times, self.workers = path, title, times, workers
        self.ended = 0

    def __enter__(self):
        self.handler = signal.signal(signal.SIGIO, signal.SIG_IGN)  # of a lease that is asked for
        self.file = self.path.open("r+b")
        self.lease()
        self.leaves = threading.Event()
        self.thread = threading.Thread(target=self.end_readers)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.leaves.set()
        self.thread.join()
        self.file.close()
        signal.signal(signal.SIGIO, self.handler)

    def end_readers(self):
        while not self.leaves.wait(0.01) and self.ended < self.times:
            if fcntl.fcntl(self.file, fcntl.F_GETLEASE) == fcntl.F_WRLCK:
                continue
            (worker,) = self.workers(self.title)
            family = [worker, *worker.children(recursive=True)]
            for process in family:
                with suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(family, timeout=10)
            self.ended += 1
            fcntl.fcntl(self.file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            if self.ended < self.times:
                self.lease()

    def lease(self):
        """Take the lease; the file of a process that has just ended stays open for a moment."""
        until = time.monotonic() + 2
        while True:
            try:
                fcntl.fcntl(self.file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
                return
            except BlockingIOError:
                assert time.monotonic() < until, f"{self.path} is open"
                time.sleep(0.001)


@pytest.fixture
def saboteur(ray_workers):
    """A function of a file, a word in the titles of workers and a number of times that returns a Saboteur."""
    return functools.partial(Saboteur, workers=ray_workers)
