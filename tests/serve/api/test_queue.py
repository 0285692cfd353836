"""The queue that `featurelib suggest` wrote, as the viewer gets it."""

import json

import pytest

from featurelib.labelling.queue import Queue
from serve.api.errors import ApiError
from serve.api.queue import queue_of

LABEL = [{"object_id": "b", "reason": "wide error bars"}, {"object_id": "gone", "reason": "far from others"}]
REVIEW = [
    {"object_id": "a", "landmark": "chin", "kind": "misplaced", "reason": "4.2 mm from its place"},
    {"object_id": "b", "landmark": None, "kind": "another object", "reason": "12 mm from the surface"},
]


@pytest.fixture
def run(tmp_path):
    """A run with a queue."""
    (tmp_path / "suggest").mkdir()
    write(tmp_path, {"schema": 1, "label": LABEL, "review": REVIEW})
    return tmp_path


def write(run, content):
    """Write the queue's file."""
    (run / "suggest" / "queue.json").write_text(json.dumps(content))


def test_it_has_the_objects_of_the_dataset_in_their_order(run):
    """Objects whose mesh was removed since are left out."""
    queue = queue_of(str(run), {"a": 0, "b": 0})

    assert queue.to_dict() == {"schema": 1, "label": (LABEL[0],), "review": tuple(REVIEW)}


@pytest.mark.parametrize("folder", [None, "nowhere"])
def test_without_a_file_it_is_empty(tmp_path, folder):
    """A server without a run, and a run without suggestions."""
    assert queue_of(folder and str(tmp_path / folder), {"a"}) == Queue()


@pytest.mark.parametrize("label", [[{"object_id": "a"}], "all", [{"object_id": 1, "reason": ""}]])
def test_another_file_is_refused_with_its_fault(run, label):
    """The message names the file, the place in it, and the fix, without a path of the server."""
    write(run, {"schema": 1, "label": label, "review": []})
    with pytest.raises(ApiError, match=r"suggest/queue\.json: label.*run `featurelib suggest` again") as caught:
        queue_of(str(run), {"a"})

    assert caught.value.status == 422
    assert str(run) not in str(caught.value)
