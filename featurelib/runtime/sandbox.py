"""Work in a child process that can be lost: a crash, a hang or a leak costs one piece of work, never the job.

The children come from a fork server that has loaded what they need, so a new one starts in milliseconds.
Processes, time limits and recycling are pebble's; here they get a memory limit, a reason and an end of stderr.
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

FOLDER_PREFIX, LOCK = "featurelib-child-", "lock"
"""Where a parent's children say their last words, and the file there that it holds locked while it lives."""

STDERR_TAIL = 600
"""Characters of a lost child's stderr that its reason keeps."""


class ProcessLostError(Exception):
    """The child that did a piece of work is no more; the message says how it ended, in one line."""


class OverLimitError(ProcessLostError):
    """The work took more time or memory than its limits allow; it would again."""


@dataclass(frozen=True, kw_only=True)
class SandboxLimits:
    """What a child may use.

    seconds: for one piece of work. memory_mb: of its own data (RLIMIT_DATA), so that a greedy file meets
    MemoryError and not the machine's end. recycle_after: pieces of work, so that leaks do not add up.
    """

    seconds: float = 120.0
    memory_mb: int = 8192
    recycle_after: int = 500


class SandboxedProcess:
    """One child process at a time, replaced when it is lost. Use it as a context, or close it."""

    def __init__(self, limits: SandboxLimits, preload: Sequence[str] = ()) -> None:
        """Take the limits and the modules that a child's work needs; the first call starts the process."""
        self.limits = limits
        _remove_left_behind()
        self._folder = tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX)
        unlocked = Path(self._folder.name, f"{LOCK}.new")  # under its name it is never seen unlocked
        self._lock = unlocked.open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        unlocked.rename(unlocked.with_name(LOCK))
        self._context = _Context()
        self._context.set_forkserver_preload(list(preload))
        self._pool = self._new_pool()

    def __call__(self, work: Callable[[Item], Result], item: Item) -> Result:
        """Do a piece of work in the child and return its result; its own exceptions come through.

        Raises:
            ProcessLostError: if the child died, twice, or took too long. The next call gets a new child.
        """
        (result,) = self.map(work, [item])
        if isinstance(result, ProcessLostError):
            raise result
        return result

    def map(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result | ProcessLostError]:
        """Yield each item's result in order, or how its child was lost; the child works ahead of the caller.

        An item whose child died gets a second one: the machine may have been at fault, not the item.
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
        """End the child at once."""
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
            raise ProcessLostError(f"{_how(ended.exitcode)}{self._last_words(ended.pid)}") from None
        except (BrokenExecutor, CancelledError):  # killed between two pieces of work, pebble gives its pool up
            self._pool.stop()
            self._pool.join()
            raise ProcessLostError("its process was ended from outside") from None
        except MemoryError:
            raise OverLimitError(f"needs more than {self.limits.memory_mb} MB of memory") from None

    def _last_words(self, pid: int | None) -> str:
        """Return the end of what a child wrote to stderr while it did its last piece of work."""
        file = Path(self._folder.name, str(pid))
        said = file.read_text(errors="replace") if file.exists() else ""
        said = " ".join(said.partition("Extension modules:")[0].split())  # faulthandler lists every one, at the end
        crash = said.rfind("Fatal Python error")  # its first lines tell where; of all else the last do
        end = len(said) if crash < 0 else crash + STDERR_TAIL // 2
        return f"; it said: {said[:end][-STDERR_TAIL:]}" if said else ""


@functools.cache
def shared_sandbox(limits: SandboxLimits, preload: str) -> SandboxedProcess:
    """Return this process's one sandbox for these limits and this preloaded module; it lives until the process ends."""
    return SandboxedProcess(limits, preload=[preload])


def _remove_left_behind() -> None:
    """Remove the folders of parents that were killed: their locks went with them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        with suppress(OSError), Path(folder, LOCK).open() as lock:  # another user's, or one that is just being made
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


class _Process(ForkServerProcess):
    """A process that does not run its parent's main module again.

    In a Ray worker that is Ray's own script, which takes a second to import; work is found by its module's name.
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
    """Prepare a child: its stderr goes to a file, native crashes say where they were, memory is bounded."""
    os.dup2(os.open(str(Path(folder, str(os.getpid()))), os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
    faulthandler.enable()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (memory_mb * 2**20, hard))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business


def _work(work: Callable[[Item], Result], item: Item) -> Result:
    os.ftruncate(2, 0)  # only what this piece of work says is of interest
    return work(item)


def _how(exitcode: int | None) -> str:
    """Return how a process ended, in words."""
    if exitcode is None or exitcode >= 0:
        return f"its process ended with code {exitcode}"
    name = signal.Signals(-exitcode).name
    return f"its process was ended by {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"
