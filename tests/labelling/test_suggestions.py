import numpy as np
import pytest

from featurelib.labelling.expected_errors import ExpectedErrors
from featurelib.labelling.suggestions import Objects, suggestions

PLACES = np.array([0.0, 1, 2, 20, 21, 40])
IDS = [f"head-{i}" for i in range(6)]
DISTANCES = np.abs(PLACES[:, None] - PLACES)


def objects(labelled=(), for_test=(), expected=None) -> Objects:
    is_labelled, is_for_test = (np.isin(np.arange(6), group) for group in (labelled, for_test))
    return Objects(IDS, DISTANCES, is_labelled, is_for_test, ~(is_labelled | is_for_test), expected)


def test_the_reason_without_a_model_is_the_shape():
    """The first object is typical, and each later one differs from what is labelled or listed."""
    found = suggestions(objects(), 3)

    assert [one.object_id for one in found] == ["head-1", "head-4", "head-5"]
    assert [one.reason for one in found] == [
        "the most typical shape; objects most like it: 2",
        "differs by 20 mm from head-1 (earlier in this list); objects most like it: 1",
        "differs by 19 mm from head-4 (earlier in this list); objects most like it: 0",
    ]
    assert [(one.nearest, one.distance_mm) for one in found] == [(None, None), ("head-1", 20), ("head-4", 19)]


def test_labelled_objects_count_as_chosen():
    (first, *_) = suggestions(objects(labelled=[1]), 2)

    assert first.object_id in {"head-3", "head-4"}
    assert "from head-1 (labelled)" in first.reason


def test_labels_for_the_test_teach_nothing():
    """A cluster in which only test objects are labelled comes before a single object; else it comes after it."""
    untaught, taught = (suggestions(objects(labelled=[1], for_test=group), 2) for group in ([1], []))

    assert {int(one.object_id[-1]) // 3 for one in untaught} == {0, 1}
    assert "head-5" not in {one.object_id for one in untaught}
    assert "head-5" in {one.object_id for one in taught}


def test_the_reason_with_a_model_is_the_expected_error():
    """Values, ratios and the reason of a rejection are in words; an object without an answer says so."""
    sigma = np.array([1.0, 1.0, 1.0, 1.0, np.nan, 4.0])
    expected = ExpectedErrors(
        sigma, np.array([1, 1, 1, 1, 16, 16.0]), np.array([0, 0, 0, 0, 2, 1]), ("",) * 4 + ("lost", "far")
    )

    found = {one.object_id: one for one in suggestions(objects(expected=expected), 2)}

    assert found.keys() == {"head-4", "head-5"}
    assert found["head-4"].reason.startswith("no prediction (lost); ")
    assert found["head-5"].reason.startswith(
        "standard deviation 4.00 mm, 4.0 times that of the median object; landmarks not accepted: 1 (far); "
    )
    assert (found["head-4"].sigma_mm, found["head-5"].sigma_mm) == (None, 4.0)


@pytest.mark.parametrize("count", [1, 4, 9])
def test_the_count_is_respected(count):
    assert len(suggestions(objects(labelled=[0]), count)) == min(count, 5)
