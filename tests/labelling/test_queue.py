import json

import pytest

from featurelib.errors import DataError
from featurelib.labelling.queue import Queue, ToLabel, ToReview, read_queue, write_queue

QUEUE = Queue(
    (ToLabel("head-7", "the most typical shape"), ToLabel("kopf 9", "ähnlich keinem")),
    (ToReview("head-1", "nasion", "misplaced", "5 mm off"), ToReview("head-2", None, "another object", "it is not")),
)


def test_a_queue_is_read_as_it_was_written(tmp_path):
    """Also an empty one, and without a file."""
    assert read_queue(str(tmp_path)) == Queue()
    for queue in (QUEUE, Queue()):
        uri = write_queue(str(tmp_path), queue)

        assert uri == f"{tmp_path}/queue.json"
        assert read_queue(str(tmp_path)) == queue


def test_the_file_has_the_form_that_the_viewer_reads(tmp_path):
    values = json.loads((tmp_path / write_queue(str(tmp_path), QUEUE)).read_text())

    assert values["schema"] == 1
    assert values["label"][0] == {"object_id": "head-7", "reason": "the most typical shape"}
    assert values["review"][1] == {
        "object_id": "head-2",
        "landmark": None,
        "kind": "another object",
        "reason": "it is not",
    }


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"schema": 9}', '{"schema": 1, "label": []}', '{"schema": 1, "label": [{}], "review": []}']
)
def test_another_file_is_one_line(tmp_path, content):
    """The message names the file and the command that writes it again."""
    (tmp_path / "queue.json").write_text(content)

    with pytest.raises(DataError, match=r"queue.json: .*; run `featurelib suggest` again$"):
        read_queue(str(tmp_path))
