"""From the source frame and unit to the object frame in millimetres."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurelib.errors import DataError
from featurelib.geometry import MM_PER_UNIT, Alignment, apply, matrix_from_wxyz

HALF = float(np.sqrt(0.5))
X_QUARTER, Z_QUARTER = (HALF, HALF, 0.0, 0.0), (HALF, 0.0, 0.0, HALF)

quaternions = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda wxyz: np.linalg.norm(wxyz) > 1e-3)


def test_the_default_alignment_changes_only_the_unit() -> None:
    """A coordinate in metres is multiplied by a thousand, and the axes stay the same."""
    np.testing.assert_array_equal(Alignment().object_from_source("mm"), np.eye(4))
    np.testing.assert_array_equal(apply(Alignment().object_from_source("m"), [1, 2, 3]), [1000, 2000, 3000])


@pytest.mark.parametrize(("unit", "one_inch"), [("mm", 25.4), ("cm", 2.54), ("m", 0.0254), ("inch", 1.0)])
def test_every_unit_gives_the_same_length(unit: str, one_inch: float) -> None:
    """The same length, written in each unit, is the same number of millimetres."""
    np.testing.assert_allclose(apply(Alignment().object_from_source(unit), [one_inch, 0, 0]), [25.4, 0, 0], rtol=1e-14)
    assert unit in MM_PER_UNIT


def test_the_first_rotation_is_applied_first() -> None:
    """Rotating about x and then about z moves +y to +z; the other order moves it to -x."""
    x_then_z = Alignment((X_QUARTER, Z_QUARTER)).object_from_source("mm")
    z_then_x = Alignment((Z_QUARTER, X_QUARTER)).object_from_source("mm")

    np.testing.assert_allclose(apply(x_then_z, [0, 1, 0]), [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(apply(z_then_x, [0, 1, 0]), [-1, 0, 0], atol=1e-12)


@given(st.lists(quaternions, max_size=4), st.floats(0.01, 100), st.sampled_from(sorted(MM_PER_UNIT)))
@settings(deadline=None)
def test_the_transform_equals_its_steps(rotations, scale: float, unit: str) -> None:
    """The rotations in their order, then the scale and the unit, give the same points as the matrix."""
    points = np.random.default_rng(0).normal(size=(5, 3))
    expected = points
    for wxyz in rotations:
        expected = expected @ matrix_from_wxyz(wxyz).T

    found = apply(Alignment(tuple(rotations), scale).object_from_source(unit), points)

    np.testing.assert_allclose(found, expected * scale * MM_PER_UNIT[unit], rtol=1e-9, atol=1e-9)


@given(st.lists(quaternions, max_size=3), st.floats(0.01, 100))
@settings(deadline=None)
def test_an_alignment_survives_its_dictionary(rotations, scale: float) -> None:
    """`from_dict` inverts `to_dict`."""
    alignment = Alignment(tuple(rotations), scale)

    assert Alignment.from_dict(alignment.to_dict()) == alignment


def test_every_entry_may_be_left_out() -> None:
    """An empty alignment is the identity."""
    assert Alignment.from_dict({}) == Alignment()


@pytest.mark.parametrize(
    ("alignment", "message"),
    [
        ({"rotations_wxyz": [[0, 0, 0, 0]]}, "length zero"),
        ({"rotations_wxyz": [[1, 0, 0]]}, "four finite numbers"),
        ({"rotations_wxyz": [1, 0, 0, 0]}, "not iterable"),
        ({"rotations_wxyz": None}, "not iterable"),
        ({"scale": 0}, "scale 0; expected a positive number"),
        ({"scale": -1}, "scale -1; expected a positive number"),
        ({"scale": float("nan")}, "scale nan; expected a positive number"),
        ({"scale": "large"}, "large"),
    ],
)
def test_a_bad_alignment_is_rejected_by_name(alignment, message: str) -> None:
    """The error begins with the file's name and names the fault."""
    with pytest.raises(DataError, match=rf"^heads/dataset\.json: .*{message}"):
        Alignment.from_dict(alignment, name="heads/dataset.json")


def test_an_unknown_unit_is_rejected() -> None:
    """The error lists the known units."""
    with pytest.raises(DataError, match="'feet': expected one of mm, cm, m, inch"):
        Alignment().object_from_source("feet")
