"""The page of `suggest`: images of the objects to label and of the labels to review, each with its reason."""

from collections.abc import Mapping

from featurelib.datasets.dataset import Dataset
from featurelib.geometry import ROLE_COLOURS
from featurelib.labelling.queue import Queue
from featurelib.runtime.pages import render
from featurelib.validation.dataset.drawing import VIEW_NAMES, Drawing


def suggestion_sheet(summary: str, queue: Queue, dataset: Dataset, drawings: Mapping[str, Drawing]) -> str:
    """Return the page of a queue.

    Args:
        summary: what was suggested, and from how many objects.
        queue: the objects and the labels.
        dataset: of the objects.
        drawings: by object; the card of an object without a drawing has no images.
    """
    return render(
        "validation/suggestion_sheet.html",
        title="What to label next",
        summary=summary,
        queue=queue,
        roles=dataset.landmarks.roles,
        drawings=drawings,
        view_names=VIEW_NAMES,
        role_colours=ROLE_COLOURS,
    )
