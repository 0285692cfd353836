"""The queue of objects to label and of labels to review, `queue.json`: `suggest` writes it, the viewer reads it."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

from featurelib.errors import DataError
from featurelib.runtime import storage

SCHEMA = 1

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
        try:
            if values["schema"] != SCHEMA:
                raise DataError(f"{name}: schema {values['schema']!r}, expected {SCHEMA}; run `featurelib suggest`")
            label, review = ([{**row} for row in values[name]] for name in ("label", "review"))
            return cls(tuple(ToLabel(**row) for row in label), tuple(ToReview(**row) for row in review))
        except (KeyError, TypeError) as error:
            raise DataError(f"{name}: not a queue ({error}); run `featurelib suggest`") from None


def write_queue(folder: str, queue: Queue) -> str:
    """Write the queue into a folder and return its URI."""
    uri = storage.join(storage.absolute(folder), "queue.json")
    storage.write_bytes(uri, json.dumps(queue.to_dict(), indent=1).encode())
    return uri


def read_queue(folder: str) -> Queue:
    """Return the queue of a folder; an empty one if there is none.

    Raises:
        DataError: if the file is not a queue.
    """
    uri = storage.join(storage.absolute(folder), "queue.json")
    if not storage.exists(uri):
        return Queue()
    try:
        values = json.loads(storage.read_bytes(uri))
    except ValueError as error:
        raise DataError(f"{uri}: not JSON ({error}); run `featurelib suggest`") from None
    return Queue.from_dict(values, name=uri)
