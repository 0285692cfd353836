"""Work in a sandboxed process: a crash, a hang or a memory leak costs one piece of work, never the job.

The processes are forked from a server that has loaded the modules they need, so a new one starts in milliseconds.
pebble provides processes, time limits and recycling; this module adds a memory limit, a reason and the end of stderr.
"""

import faulthandler
import fcntl
import functools
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from concurrent.futures import TimeoutError as TooLong
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import ModuleType
from typing import Any, Self, TypeVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

Item = TypeVar("Item")
Result = TypeVar("Result")

FOLDER_PREFIX, LOCK = "featurelib-sandbox-", "lock"
"""Folder for the stderr of a parent's processes, and the file in it that the parent keeps locked."""

STDERR_TAIL = 600
"""Number of characters of a lost process's stderr in its reason."""


class ProcessLostError(Exception):
    """The process of a piece of work ended; the message is one line on how it ended."""


class OverLimitError(ProcessLostError):
    """The work exceeded its limits of time or memory and would exceed them again."""


@dataclass(frozen=True, kw_only=True)
class SandboxLimits:
    """The limits of a sandboxed process.

    seconds: for one piece of work. memory_mb: of private data (RLIMIT_DATA), so that a huge file ends in MemoryError
    and does not exhaust the machine. recycle_after: pieces of work per process, so that leaks do not add up.
    """

    seconds: float = 120.0
    memory_mb: int = 8192
    recycle_after: int = 500


class SandboxedProcess:
    """One process at a time, replaced when it is lost. Use it as a context manager, or close it."""

    def __init__(self, limits: SandboxLimits, preload: Sequence[str] = ()) -> None:
        """Store the limits and the modules to preload; the first call starts the process."""
        self.limits = limits
        _remove_left_behind()
        self._folder = tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX)
        unlocked = Path(self._folder.name, f"{LOCK}.new")  # under its final name it is always locked
        self._lock = unlocked.open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        unlocked.rename(unlocked.with_name(LOCK))
        self._context = _Context()
        self._context.set_forkserver_preload(list(preload))
        self._pool = self._new_pool()

    def __call__(self, work: Callable[[Item], Result], item: Item) -> Result:
        """Run a piece of work in the process and return its result; its exceptions are raised here.

        Raises:
            ProcessLostError: if the process ended twice or exceeded a limit. The next call gets a new process.
        """
        (result,) = self.map(work, [item])
        if isinstance(result, ProcessLostError):
            raise result
        return result

    def map(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result | ProcessLostError]:
        """Yield each item's result, or the error of its lost process, in order; the process works ahead of the caller.

        An item whose process ended is tried again in a new process: the machine may have been the cause.
        """
        waiting = [self._schedule(work, item) for item in items]
        for item, future in zip(items, waiting, strict=True):
            try:
                yield self._result(future)
            except OverLimitError as lost:
                yield lost
            except ProcessLostError:
                try:
                    yield self._result(self._schedule(work, item))
                except ProcessLostError as lost:
                    yield lost

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """End the process at once."""
        self._pool.stop()
        self._pool.join()
        self._folder.cleanup()
        self._lock.close()

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(
            max_workers=1,
            max_tasks=self.limits.recycle_after,
            initializer=_begin,
            initargs=(self._folder.name, self.limits.memory_mb),
            context=self._context,
        )

    def _schedule(self, work: Callable[[Item], Result], item: Item) -> ProcessFuture:
        if not self._pool.active:
            self._pool = self._new_pool()
        return self._pool.schedule(_work, args=(work, item), timeout=self.limits.seconds)

    def _result(self, future: ProcessFuture) -> Any:
        try:
            return future.result()
        except TooLong:
            raise OverLimitError(f"took longer than {self.limits.seconds:g} s and was ended") from None
        except ProcessExpired as ended:
            raise ProcessLostError(f"{_how(ended.exitcode)}{self._end_of_stderr(ended.pid)}") from None
        except (BrokenExecutor, CancelledError):  # killed between two pieces of work: pebble abandons its pool
            self._pool.stop()
            self._pool.join()
            raise ProcessLostError("its process was killed from outside") from None
        except MemoryError:
            raise OverLimitError(f"needs more than {self.limits.memory_mb} MB of memory") from None

    def _end_of_stderr(self, pid: int | None) -> str:
        """Return the end of a process's stderr during its last piece of work."""
        file = Path(self._folder.name, str(pid))
        stderr = file.read_text(errors="replace") if file.exists() else ""
        stderr = " ".join(stderr.partition("Extension modules:")[0].split())  # faulthandler appends a list of them
        crash = stderr.rfind("Fatal Python error")  # a crash is described by its first lines, else take the last ones
        end = len(stderr) if crash < 0 else crash + STDERR_TAIL // 2
        return f"; stderr: {stderr[:end][-STDERR_TAIL:]}" if stderr else ""


@functools.cache
def shared_sandbox(limits: SandboxLimits, preload: str) -> SandboxedProcess:
    """Return the sandboxed process for these limits and this preloaded module; it is kept for later calls."""
    return SandboxedProcess(limits, preload=[preload])


def _remove_left_behind() -> None:
    """Remove the folders of parents that were killed, whose locks are released."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        with suppress(OSError), Path(folder, LOCK).open() as lock:  # of another user, or being created
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


class _Process(ForkServerProcess):
    """A process that does not import its parent's main module.

    In a Ray worker this is Ray's own script, which takes a second to import; work is found by the name of its module.
    """

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 (multiprocessing's name)
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            return ForkServerProcess._Popen(process_obj)
        finally:
            sys.modules["__main__"] = main


class _Context(ForkServerContext):
    Process = _Process


def _begin(folder: str, memory_mb: int) -> None:
    """Prepare a process: stderr goes to a file, native crashes print their stack, and memory is limited."""
    os.dup2(os.open(str(Path(folder, str(os.getpid()))), os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
    faulthandler.enable()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (memory_mb * 2**20, hard))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C


def _work(work: Callable[[Item], Result], item: Item) -> Result:
    os.ftruncate(2, 0)  # keep only the output of this piece of work
    return work(item)


def _how(exitcode: int | None) -> str:
    """Return how a process ended, as text."""
    if exitcode is None or exitcode >= 0:
        return f"its process ended with code {exitcode}"
    name = signal.Signals(-exitcode).name
    return f"its process was ended by {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"
