"""The queue of objects to label and of labels to review, `queue.json`: `suggest` writes it, the viewer reads it."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from featurelib.errors import DataError
from featurelib.runtime import storage

SCHEMA = 1

AGAIN = "run `featurelib suggest` again"

FOLDER = "suggest"
"""Folder of the queue in a run."""


@dataclass(frozen=True)
class ToLabel:
    """An object to label, and why."""

    object_id: str
    reason: str


@dataclass(frozen=True)
class ToReview:
    """Labels to look at again, and why: of one landmark, or of the whole object (None)."""

    object_id: str
    landmark: str | None
    kind: str
    reason: str


@dataclass(frozen=True)
class Queue:
    """What to do next, the most useful first."""

    label: tuple[ToLabel, ...] = ()
    review: tuple[ToReview, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_dict(cls, values: Any, *, name: str = "queue.json") -> Self:
        """Return the queue that `to_dict` wrote; errors begin with `name`.

        Raises:
            DataError: if it is not such a queue.
        """
        if not isinstance(values, dict) or values.get("schema") != SCHEMA:
            raise DataError(f"{name}: not a queue of schema {SCHEMA}; {AGAIN}")
        return cls(
            tuple(ToLabel(**row) for row in _rows(values, "label", ToLabel, name)),
            tuple(ToReview(**row) for row in _rows(values, "review", ToReview, name)),
        )


def _rows(values: dict[str, Any], part: str, kind: type, name: str) -> list[dict[str, Any]]:
    """Return the rows of a part, whose values are texts; a landmark may be None."""
    rows, keys = values.get(part), {field.name for field in fields(kind)}
    if not isinstance(rows, list):
        raise DataError(f"{name}: {part}: expected a list; {AGAIN}")
    for i, row in enumerate(rows):
        texts = (
            isinstance(row, dict) and row.keys() == keys and [v for k, v in row.items() if (k, v) != ("landmark", None)]
        )
        if not texts or not all(isinstance(text, str) for text in texts):
            raise DataError(f"{name}: {part}[{i}]: expected the texts {', '.join(sorted(keys))}; {AGAIN}")
    return rows


def write_queue(folder: str, queue: Queue) -> str:
    """Write the queue into a folder and return its URI."""
    uri = storage.join(storage.absolute(folder), "queue.json")
    storage.write_bytes(uri, json.dumps(queue.to_dict(), indent=1).encode())
    return uri


def read_queue(folder: str, *, name: str | None = None) -> Queue:
    """Return the queue of a folder; an empty one if there is none.

    Args:
        folder: a local path or an s3:// URI.
        name: of the file in messages; default: its URI.

    Raises:
        DataError: if the file is not a queue.
    """
    uri = storage.join(storage.absolute(folder), "queue.json")
    if not storage.exists(uri):
        return Queue()
    try:
        values = json.loads(storage.read_bytes(uri))
    except ValueError as error:
        raise DataError(f"{name or uri}: not JSON ({error}); {AGAIN}") from None
    return Queue.from_dict(values, name=name or uri)
