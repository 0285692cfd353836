import json

import pytest

from featurelib.runtime import completion, storage

CONFIG = {"rate": 1e-3, "views": (1, 2), "inputs": {"a": "sha"}, "weights": None}


def test_a_step_is_done_from_its_end_to_its_next_beginning(tmp_path):
    """A step counts as done once it said so, and no longer when it has begun again."""
    uri = str(tmp_path / "detector" / "config.json")
    seen = [completion.is_complete(uri, CONFIG)]
    for say in (completion.invalidate, lambda uri: completion.mark_complete(uri, CONFIG), completion.invalidate):
        say(uri)
        seen.append(completion.is_complete(uri, CONFIG))

    assert seen == [False, False, True, False]


@pytest.mark.parametrize(
    "change", [{"rate": 2e-3}, {"views": (2, 1)}, {"inputs": {"a": "other"}}, {"weights": "imagenet"}, {"more": 1}]
)
def test_another_configuration_or_input_is_not_done(tmp_path, change):
    """A step whose flags or whose inputs' hashes differ has to run again."""
    uri = str(tmp_path / "config.json")
    completion.mark_complete(uri, CONFIG)

    assert not completion.is_complete(uri, CONFIG | change)


def test_a_configuration_equals_what_is_read_back(tmp_path):
    """Tuples become lists in JSON, and keys may come in another order; the configuration is still the same."""
    uri = str(tmp_path / "config.json")
    completion.mark_complete(uri, CONFIG)

    assert completion.is_complete(uri, dict(reversed(CONFIG.items())))
    assert json.loads(storage.read_bytes(uri)) == CONFIG | {"views": [1, 2]}
