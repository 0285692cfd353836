"""An HTTP load generator: closed and open loops of requests on one thread.

It is our own because httpx takes 1.3 to 4.4 ms of CPU time per request on a trivial local server, this 0.2 to 0.4 ms.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Request:
    """A POST request: path, content type, body."""

    path: str
    kind: str
    body: bytes

    @classmethod
    def of_json(cls, path: str, **values: object) -> "Request":
        """Return a request with a JSON body."""
        return cls(path, "application/json", json.dumps(values).encode())

    @classmethod
    def of_file(cls, path: str, name: str, content: bytes) -> "Request":
        """Return a request that uploads one file."""
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n\r\n'.encode()
        return cls(path, "multipart/form-data; boundary=b", head + content + b"\r\n--b--\r\n")


@dataclass
class Outcome:
    """The responses to many requests.

    Attributes:
        seconds: Duration.
        statuses: Number of responses by status; 0 for a broken connection.
        ms: Latencies of the responses with status 200.
    """

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    ms: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Responses with status 200 per second."""
        return self.statuses[200] / self.seconds

    def percentile(self, q: float) -> float:
        """Return a percentile of the latencies in ms; NaN if there are none."""
        return float(np.percentile(self.ms, q)) if self.ms else float("nan")


def closed_loop(port: int, requests: Sequence[Request], clients: int, seconds: float) -> Outcome:
    """Let each client send its next request when the last one is answered."""

    async def drive() -> Outcome:
        outcome, until, started = Outcome(), time.perf_counter() + seconds, time.perf_counter()

        async def client(number: int) -> None:
            while time.perf_counter() < until:
                await _send(port, requests[number % len(requests)], time.perf_counter(), outcome)
                number += clients

        await asyncio.gather(*(client(number) for number in range(clients)))
        outcome.seconds = time.perf_counter() - started
        return outcome

    return asyncio.run(drive())


def open_loop(port: int, requests: Sequence[Request], rate: float, seconds: float) -> Outcome:
    """Send requests at fixed times without waiting for responses; latencies count from the time a request was due."""

    async def drive() -> Outcome:
        outcome, started = Outcome(seconds=seconds), time.perf_counter()

        async def at(number: int) -> None:
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await _send(port, requests[number % len(requests)], due, outcome)

        await asyncio.gather(*(at(number) for number in range(int(rate * seconds))))
        return outcome

    return asyncio.run(drive())


async def _send(port: int, request: Request, due: float, outcome: Outcome) -> None:
    status = 0
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST {request.path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {request.kind}"
        writer.write(f"{head}\r\nContent-Length: {len(request.body)}\r\n\r\n".encode() + request.body)
        await writer.drain()
        response = await reader.read()
        writer.close()
        status = int(response.split(b" ", 2)[1]) if response else 0
    except OSError:
        pass
    outcome.statuses[status] += 1
    if status == 200:
        outcome.ms.append(1000 * (time.perf_counter() - due))
