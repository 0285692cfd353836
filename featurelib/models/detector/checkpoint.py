"""The state of a training in one file: a training that resumes from it gives the same network."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.csv_table import read_table, write_rows

Arrays = tuple[NDArray[Any], ...]


class Epoch(NamedTuple):
    """One row of metrics.csv, over all workers.

    Losses exclude the L2 terms. Errors are mean distances of the near landmarks in % of the width. images_per_s: of the
    training pass. wait_pct: share of that pass in which the step waited for data. seconds: of the epoch.
    """

    epoch: int
    phase: str
    loss: float
    val_loss: float
    error_pct: float
    val_error_pct: float
    images_per_s: float
    wait_pct: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a training after an epoch or, before a preemption, after a step.

    rows: of all epochs that ended. variables: of the model, including the states of its random generators; none before
    the first step. optimizer: its variables. best: the model's weights after the best epoch. steps: that the next epoch
    has done.
    The order of the samples needs no state: it is a function of seed and epoch.
    """

    rows: tuple[Epoch, ...] = ()
    variables: Arrays = ()
    optimizer: Arrays = ()
    best: Arrays = ()
    steps: int = 0

    @property
    def next_epoch(self) -> int:
        """The number of the next epoch, counted from 0."""
        return len(self.rows)

    @property
    def best_row(self) -> Epoch:
        """The epoch with the least validation error; the first one of equals."""
        return min(self.rows, key=lambda row: row.val_error_pct)

    def to_bytes(self, config: dict[str, Any]) -> bytes:
        """Return the file's content; `config` identifies the training."""
        about = json.dumps({"config": config, "rows": self.rows, "steps": self.steps}).encode()
        named = {
            f"{name}/{i}": array
            for name in ("variables", "optimizer", "best")
            for i, array in enumerate(getattr(self, name))
        }
        file = io.BytesIO()
        np.savez(file, about=np.frombuffer(about, np.uint8), **named)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, config: dict[str, Any]) -> Self | None:
        """Return the checkpoint in a file's content; None if its training has another config."""
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            if about["config"] != json.loads(json.dumps(config)):
                return None

            def numbered(name: str) -> Arrays:
                count = sum(key.startswith(f"{name}/") for key in arrays.files)
                return tuple(arrays[f"{name}/{i}"] for i in range(count))

            rows = tuple(Epoch(*row) for row in about["rows"])
            arrays_of = (numbered("variables"), numbered("optimizer"), numbered("best"))
            return cls(rows, *arrays_of, about.get("steps", 0))


def metrics_csv(rows: Sequence[Epoch]) -> str:
    """Return the text of metrics.csv."""
    return write_rows(Epoch._fields, ({k: str(value) for k, value in row._asdict().items()} for row in rows)).decode()


def epochs_of(metrics: str) -> list[Epoch]:
    """Return the rows of metrics.csv."""
    rows = (line.row.values() for line in read_table(metrics.encode(), "metrics.csv").lines)
    return [Epoch(int(epoch), phase, *map(float, figures)) for epoch, phase, *figures in rows]
