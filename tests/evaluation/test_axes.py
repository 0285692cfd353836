import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurelib.evaluation.axes import Scale, per_cent, plain, round_down, round_up

POSITIVE = st.floats(1e-6, 1e6)


@given(POSITIVE)
def test_round_numbers_surround_a_value(value):
    """They are 1, 2 or 5 times a power of ten, next to each other unless the value is one of them."""
    low, high = round_down(value), round_up(value)

    assert low <= value * (1 + 1e-8)
    assert high >= value * (1 - 1e-8)
    assert high / low == pytest.approx(1) or high / low <= 2.5 + 1e-9
    for each in (low, high):
        assert float(f"{each:.0e}".partition("e")[0]) in (1, 2, 5)


@given(POSITIVE, st.floats(1.6, 1e4), st.booleans())
def test_ticks_lie_on_the_axis(low, ratio, is_log):
    """They are ascending, within the ends, and neither too few to read nor too many to print."""
    scale = Scale(low, low * ratio, 0, 100, is_log)

    ticks = scale.ticks

    assert ticks == sorted(ticks)
    assert all(low * (1 - 1e-6) <= tick <= low * ratio * (1 + 1e-6) for tick in ticks)
    assert len(ticks) <= 12


def test_ends_are_ticks():
    """An axis whose ends are round says so; both kinds."""
    assert " ".join(plain(tick) for tick in Scale(0.1, 20, 0, 1, is_log=True).ticks) == "0.1 0.2 0.5 1 2 5 10 20"
    assert [per_cent(tick) for tick in Scale(0, 1, 0, 1).ticks] == ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]


def test_a_scale_is_monotone_and_keeps_its_ends():
    """Equal differences, or equal ratios, are equally far; what lies beyond is drawn at the end."""
    linear, log = Scale(0, 10, 300, 100), Scale(0.1, 10, 50, 150, is_log=True)

    assert [linear(v) for v in (-5, 0, 5, 10, 99)] == [300, 300, 200, 100, 100]
    np.testing.assert_allclose([log(v) for v in (0, 0.1, 1, 10, 11)], [50, 50, 100, 150, 150])
