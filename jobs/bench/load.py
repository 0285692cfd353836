"""A small HTTP client for measuring: as many questions as one wants, at the times that one wants, on one thread."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Question:
    """One request: path, type of body, body."""

    path: str
    kind: str
    body: bytes

    @classmethod
    def of_json(cls, path: str, **values: object) -> "Question":
        """Return a question whose body is JSON."""
        return cls(path, "application/json", json.dumps(values).encode())

    @classmethod
    def of_file(cls, path: str, name: str, content: bytes) -> "Question":
        """Return a question that uploads one file."""
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n\r\n'.encode()
        return cls(path, "multipart/form-data; boundary=b", head + content + b"\r\n--b--\r\n")


@dataclass
class Outcome:
    """What came of many questions: how many had each status (0: the connection broke), and ms of the answers 200."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    ms: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers 200 a second."""
        return self.statuses[200] / self.seconds

    def percentile(self, q: float) -> float:
        """Return a percentile of the latencies, in ms; NaN without an answer."""
        return float(np.percentile(self.ms, q)) if self.ms else float("nan")


def closed_loop(port: int, questions: Sequence[Question], clients: int, seconds: float) -> Outcome:
    """Let each client ask its next question when its last is answered."""

    async def drive() -> Outcome:
        outcome, until, started = Outcome(), time.perf_counter() + seconds, time.perf_counter()

        async def client(number: int) -> None:
            while time.perf_counter() < until:
                await _ask(port, questions[number % len(questions)], time.perf_counter(), outcome)
                number += clients

        await asyncio.gather(*(client(number) for number in range(clients)))
        outcome.seconds = time.perf_counter() - started
        return outcome

    return asyncio.run(drive())


def open_loop(port: int, questions: Sequence[Question], rate: float, seconds: float) -> Outcome:
    """Ask at fixed times, whether the last is answered or not; latencies count from when a question was due."""

    async def drive() -> Outcome:
        outcome, started = Outcome(seconds=seconds), time.perf_counter()

        async def at(number: int) -> None:
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await _ask(port, questions[number % len(questions)], due, outcome)

        await asyncio.gather(*(at(number) for number in range(int(rate * seconds))))
        return outcome

    return asyncio.run(drive())


async def _ask(port: int, question: Question, due: float, outcome: Outcome) -> None:
    status = 0
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST {question.path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {question.kind}"
        writer.write(f"{head}\r\nContent-Length: {len(question.body)}\r\n\r\n".encode() + question.body)
        await writer.drain()
        answer = await reader.read()
        writer.close()
        status = int(answer.split(b" ", 2)[1]) if answer else 0
    except OSError:
        pass
    outcome.statuses[status] += 1
    if status == 200:
        outcome.ms.append(1000 * (time.perf_counter() - due))
