"""Positions: decimal marks, and the markers of missing values."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurelib.datasets.coordinates import LARGEST, is_missing, position, with_points
from featurelib.errors import DataError

cell = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6), st.lists(st.integers()))


@given(st.lists(st.floats(-LARGEST, LARGEST), min_size=3, max_size=3))
def test_numbers_are_read_to_the_last_bit(xyz):
    """As numbers and as text; markers of missing values are no positions."""
    if is_missing(xyz):
        return

    assert position(xyz) == position([*map(repr, xyz)]) == tuple(xyz)


@given(st.lists(cell, max_size=4), st.booleans())
def test_a_position_is_three_finite_numbers_or_one_error(values, decimal_commas):
    """Whatever the values are."""
    with contextlib.suppress(DataError):
        found = position(values, decimal_commas=decimal_commas)
        assert len(found) == 3
        assert all(math.isfinite(value) for value in found)


@pytest.mark.parametrize(
    "missing",
    ["", " ", ".", "NA", "N/A", "#N/A", "#NV", "nan", "NaN", "-nan", "null", "None", "1.#QNAN", "-nan(ind)", None],
)
def test_one_marker_makes_a_point_missing(missing):
    """In any of the three coordinates, as R, pandas, spreadsheets and C libraries write them."""
    for values in ([missing, "1", "2"], ["1", missing, "2"], [missing] * 3):
        with pytest.raises(DataError, match="a missing value; place the point"):
            position(values)


@pytest.mark.parametrize("value", [-99, "99.0", -9999, "-9999", "-9999.000", 9999.0, -999, "99999", float("nan")])
def test_a_number_marks_a_missing_value_in_all_coordinates(value):
    with pytest.raises(DataError, match="a missing value; place the point"):
        position([value] * 3)


@pytest.mark.parametrize("values", [[-9999.0, 1.0, 2.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [-9999.0, 9999.0, -9999.0]])
def test_other_numbers_are_positions(values):
    assert position(values) == tuple(values)


@pytest.mark.parametrize("value", [math.inf, "-inf", "1_000", "1.2.3", "three", True, 10**400, "1,5", [], {}])
def test_other_values_are_no_positions(value):
    with pytest.raises(DataError, match="expected three finite numbers"):
        position([1.0, value, 2.0])


def test_three_cells_have_one_decimal_mark():
    """A comma is a decimal mark where columns have another separator, unless a point occurs beside it."""
    assert position(["1,5", "-2,25", "3"], decimal_commas=True) == (1.5, -2.25, 3.0)
    assert position(["1,5e1", "\N{MINUS SIGN}2", "3"], decimal_commas=True) == (15.0, -2.0, 3.0)
    for cells in (["1,5", "2.5", "3"], ["1.234,5", "1", "1"], ["1,234,567", "1", "1"]):
        with pytest.raises(DataError, match="with decimal points"):
            position(cells, decimal_commas=True)
    assert with_points(["1,5", "2.5"]) == ["1,5", "2.5"]
