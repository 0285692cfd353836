import json

import pytest

from featurelib.runtime import completion, storage

CONFIG = {"rate": 1e-3, "views": (1, 2), "inputs": {"a": "sha"}, "weights": None}


def test_a_step_is_complete_until_it_is_invalidated(tmp_path):
    """A step is complete after mark_complete and not after invalidate."""
    uri = str(tmp_path / "detector" / "config.json")
    seen = [completion.is_complete(uri, CONFIG)]
    for change in (completion.invalidate, lambda uri: completion.mark_complete(uri, CONFIG), completion.invalidate):
        change(uri)
        seen.append(completion.is_complete(uri, CONFIG))

    assert seen == [False, False, True, False]


@pytest.mark.parametrize(
    "change", [{"rate": 2e-3}, {"views": (2, 1)}, {"inputs": {"a": "other"}}, {"weights": "imagenet"}, {"more": 1}]
)
def test_another_configuration_or_input_is_not_complete(tmp_path, change):
    """A step with other flags or input hashes must run again."""
    uri = str(tmp_path / "config.json")
    completion.mark_complete(uri, CONFIG)

    assert not completion.is_complete(uri, CONFIG | change)


def test_a_configuration_equals_its_json(tmp_path):
    """Neither tuples, which become lists in JSON, nor the order of keys matters."""
    uri = str(tmp_path / "config.json")
    completion.mark_complete(uri, CONFIG)

    assert completion.is_complete(uri, dict(reversed(CONFIG.items())))
    assert json.loads(storage.read_bytes(uri)) == CONFIG | {"views": [1, 2]}
