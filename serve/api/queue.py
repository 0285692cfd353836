"""The queue of objects that `featurelib suggest` wrote: what to label next, and which labels to look at again."""

from collections.abc import Container
from dataclasses import replace

from featurelib.errors import DataError
from featurelib.labelling.queue import FOLDER, Queue, read_queue
from featurelib.runtime import storage
from serve.api.errors import ApiError


def queue_of(run: str | None, object_ids: Container[str]) -> Queue:
    """Return the queue of a run, without objects that are not in the dataset; empty without a run.

    Raises:
        ApiError: if the file is not a queue.
    """
    try:
        found = read_queue(storage.join(run, FOLDER), name=f"{FOLDER}/queue.json") if run else Queue()
    except DataError as error:
        raise ApiError(422, str(error)) from None
    return replace(
        found,
        label=tuple(one for one in found.label if one.object_id in object_ids),
        review=tuple(one for one in found.review if one.object_id in object_ids),
    )
