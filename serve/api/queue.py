"""The queue of objects that `featurelib suggest` wrote: what to label next, and which labels to look at again."""

from collections.abc import Container

from pydantic import BaseModel, Field, ValidationError

from featurelib.runtime import storage
from serve.api.errors import ApiError, invalid


class ToLabel(BaseModel):
    """An object to label next, and why."""

    object_id: str
    reason: str


class ToReview(BaseModel):
    """A label to look at again, and why; `landmark` is null if all of the object's labels are meant."""

    object_id: str
    landmark: str | None
    kind: str
    reason: str


class Queue(BaseModel):
    """The objects to label and the labels to review, in order; both are empty without a queue."""

    label: list[ToLabel] = Field(default_factory=list)
    review: list[ToReview] = Field(default_factory=list)


def read_queue(run: str | None, object_ids: Container[str]) -> Queue:
    """Return the queue of a run, without objects that are not in the dataset.

    Raises:
        ApiError: if the file is not a queue.
    """
    uri = storage.join(run, "suggest", "queue.json") if run else ""
    if not run or not storage.exists(uri):
        return Queue()
    try:
        found = Queue.model_validate_json(storage.read_bytes(uri))
    except ValidationError as error:
        fault = invalid(error.errors(include_input=False)[0])
        raise ApiError(422, f"suggest/queue.json: {fault}; run `featurelib suggest` again") from None
    return Queue(
        label=[one for one in found.label if one.object_id in object_ids],
        review=[one for one in found.review if one.object_id in object_ids],
    )
