"""Trained networks, run by LiteRT on CPUs and by TensorFlow on GPUs.

A process that only runs networks does not import TensorFlow: that takes 9 s of CPU, and loading and tracing the
networks of a run another 5 s. LiteRT takes 0.1 s in all. On one core the detector of alpha 0.35 at 128 px takes 0.75 ms
per image in LiteRT and 1.7 ms as a frozen TensorFlow graph; a refinement stage takes 2.7 ms per crop and 2.4 ms.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from typing import NamedTuple, Self

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.runtime import storage
from featurelib.runtime.threads import limit_threads

KERAS, LITERT = ".keras", ".tflite"
"""Suffixes of a network's two files."""

Outputs = Mapping[str, NDArray[np.float32]]
"""A network's outputs by name, each (n, ...). A single output has the name `output`."""


class Device(NamedTuple):
    """What runs a network: some threads of the CPU, or the GPU."""

    threads: int = 1
    gpu: bool = False


ONE_THREAD = Device()


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network: the contents of its two files, which have the same weights.

    keras: for further training and for GPUs. litert: for CPUs; it takes one input at a time. device: what runs it.
    """

    keras: bytes
    litert: bytes
    device: Device = ONE_THREAD

    @classmethod
    def read(cls, uri: str, device: Device = ONE_THREAD) -> Self:
        """Return the network that `write` wrote.

        Raises:
            DataError: if a file is missing or damaged.
        """
        if not storage.exists(uri + LITERT):
            raise DataError(f"{uri}{LITERT}: missing; train the network again, with this version into a new --run")
        network = cls(storage.read_bytes(uri + KERAS), storage.read_bytes(uri + LITERT), device)
        try:
            _ = network.input_shape
        except ValueError as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"{uri}{LITERT}: not a network ({reason}); train it again") from None
        return network

    def write(self, uri: str) -> None:
        """Write both files; `uri` has no suffix."""
        storage.write_bytes(uri + LITERT, self.litert)
        storage.write_bytes(uri + KERAS, self.keras)

    @property
    def version(self) -> str:
        """The SHA-256 of the Keras file."""
        return sha256(self.keras).hexdigest()

    @cached_property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, such as (s, s, 3)."""
        with self._program() as program:
            return program.input_shape

    def __call__(self, inputs: NDArray[np.number]) -> Outputs:
        """Return the outputs for inputs (n, ...), n > 0. Grey images (n, s, s, 1) are expanded to three channels."""
        if self.device.gpu:
            return self._on_gpu(inputs)
        is_parallel = self.device.threads > 1 and len(inputs) > 1
        rows = list((_executor(self.device.threads).map if is_parallel else map)(self._run, inputs))
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    def _run(self, one: NDArray[np.number]) -> Outputs:
        with self._program() as program:
            return program(one)

    @contextmanager
    def _program(self) -> Iterator["Program"]:
        """Lend a program that no other thread uses."""
        idle = self._idle
        program = idle.pop() if idle else Program(self.litert)
        try:
            yield program
        finally:
            idle.append(program)

    @cached_property
    def _idle(self) -> list["Program"]:
        return []  # append and pop of a list are atomic

    @cached_property
    def _on_gpu(self) -> Callable[[NDArray[np.number]], Outputs]:
        limit_threads(self.device.threads)
        from featurelib.models.keras_models import frozen_graph, load_model

        return frozen_graph(load_model(self.keras))


class Program:
    """A LiteRT interpreter of a network, for one input and one thread at a time.

    Networks run one image at a time: in one interpreter, batches of 4 to 16 images take as long per image (detector
    0.7 to 0.9 ms, refiner 2.9 ms), and a change of the batch size costs 10 ms.
    """

    def __init__(self, content: bytes) -> None:
        """Prepare the content of a LiteRT file.

        Raises:
            ValueError: if it is damaged.
        """
        self._interpreter = Interpreter(model_content=content, num_threads=1)
        self._runner = self._interpreter.get_signature_runner()
        ((self._name, details),) = self._runner.get_input_details().items()
        self._shape: tuple[int, ...] = (1, *(int(size) for size in details["shape"][1:]))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return self._shape[1:]

    def __call__(self, one: NDArray[np.number]) -> Outputs:
        """Return the outputs, each (1, ...), for one input that can be broadcast to `input_shape`."""
        inputs = np.broadcast_to(one, self._shape).astype(np.float32)
        outputs: Outputs = self._runner(**{self._name: inputs})
        return outputs


@cache
def _executor(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="network")
