from dataclasses import FrozenInstanceError, fields

import pytest

from featurelib.errors import DataError, UsageError
from featurelib.meshes import Limits


def test_limits_are_frozen():
    """No field can be set."""
    for field in fields(Limits):
        with pytest.raises(FrozenInstanceError):
            setattr(Limits(), field.name, 1)


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_limit_is_a_positive_number(name, value):
    """A limit that no file can meet is an error of the caller."""
    with pytest.raises(UsageError, match=f"{name} is {value}"):
        Limits(**{name: value})


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ((31, 5), "31 vertices; expected at most 30"),
        ((3, 11), "11 faces; expected at most 10"),
        ((-1, 5), "-1 vertices"),
        ((3, -2), "-2 faces"),
        ((3, 0), "no faces"),
    ],
)
def test_counts_beyond_the_limits_are_named(counts, reason):
    """The message has the count and the limit; counts equal to the limits are accepted."""
    Limits(max_faces=10).check_counts(30, 10)

    with pytest.raises(DataError, match=reason):
        Limits(max_faces=10).check_counts(*counts)
