import matplotlib.figure
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurelib.evaluation import plots
from featurelib.evaluation.figures import inline
from featurelib.evaluation.plots import Curve, Estimate, Line, Row, round_down, round_up

NAN = float("nan")
ERRORS = np.random.default_rng(0).gamma(2, size=(50, 2))


def drawn(plot):
    """The axes with a plot on them."""
    axes = matplotlib.figure.Figure().subplots()
    plot.draw(axes)
    return axes


def curve(errors, limits=None) -> np.ndarray:
    """The points (n, 2) of the curve of some errors."""
    plot = plots.curves_plot([Curve("mlp", errors, Line("red"))], limits or plots.error_limits([errors]))
    [line] = drawn(plot).lines
    return line.get_xydata()


def texts(parsed, plot) -> list[str]:
    """The texts of a plot on a page."""
    return [text.text for text in parsed(inline(plot, "a", "title")).all("text")]


@given(st.floats(1e-6, 1e6))
def test_round_numbers_surround_a_value(value):
    """They are 1, 2 or 5 times a power of ten, next to each other unless the value is one of them."""
    low, high = round_down(value), round_up(value)

    assert low <= value * (1 + 1e-8)
    assert high >= value * (1 - 1e-8)
    assert high / low == pytest.approx(1) or high / low <= 2.5 + 1e-9
    for each in (low, high):
        assert float(f"{each:.0e}".partition("e")[0]) in (1, 2, 5)


def test_a_cumulative_curve_is_the_share_of_smaller_errors():
    """At each error it is the share of landmarks whose error is no larger: ascending, from above 0 to 1."""
    errors, shares = plots.cumulative(ERRORS)

    assert shares[-1] == 1
    assert (np.diff(errors) >= 0).all()
    assert (np.diff(shares) > 0).all()
    np.testing.assert_allclose(shares, [np.mean(error >= ERRORS) for error in errors])


def test_an_object_without_an_answer_is_never_close():
    """A method that answers half of the objects has a curve that ends at a half."""
    errors = ERRORS.copy()
    errors[::2] = NAN

    assert plots.cumulative(errors)[1][-1] == 0.5
    assert plots.cumulative(np.full((3, 2), NAN))[1].size == 0
    assert curve(errors)[-1, 1] == 0.5


@pytest.mark.parametrize("count", [1, 50, 5000])
def test_a_drawn_curve_rises_from_the_axis_to_the_top(count):
    """It starts at 0 % on the left, only ever goes right and up, and ends at 100 % on the right; many steps or few."""
    errors = np.random.default_rng(1).gamma(2, size=(count, 2))

    points = curve(errors)

    low, high = plots.error_limits([errors])
    assert points[[0, -1]].tolist() == [[low, 0], [high, 1]]
    assert (np.diff(points, axis=0) >= 0).all()
    assert len(points) <= plots.MAX_STEPS + 2


def test_a_curve_passes_its_median_at_the_half():
    """Where 50 % is reached, the error is the median."""
    points = curve(ERRORS)

    assert np.interp(0.5, points[:, 1], points[:, 0]) == pytest.approx(np.median(ERRORS), rel=0.02)


def test_the_error_axis_holds_all_but_lucky_landmarks():
    """It ends beyond the largest error of all methods, and does not stretch for a single error of nothing."""
    lucky = ERRORS.copy()
    lucky[0] = 1e-9

    low, high = plots.error_limits([lucky, 30 * ERRORS, np.full((3, 2), NAN)])

    assert 0.01 < low < np.median(ERRORS)
    assert high >= 30 * ERRORS.max()
    assert plots.error_limits([np.zeros((3, 2)), np.full((3, 2), NAN)]) == plots.FALLBACK_MM
    assert plots.error_limits([np.full((3, 2), 2.0)]) == (2, 20)


def test_axes_have_round_ticks(parsed):
    """Errors are logarithmic with plain numbers at 1, 2 and 5, shares are per cent; a wide axis has whole decades."""
    of_axis = [texts(parsed, plots.curves_plot([], limits)) for limits in ((0.1, 20), (0.01, 100))]

    assert of_axis[0][:8] == ["0.1", "0.2", "0.5", "1", "2", "5", "10", "20"]
    assert of_axis[0][9:15] == ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]
    assert of_axis[1][:5] == ["0.01", "0.1", "1", "10", "100"]


def test_methods_without_an_answer_have_no_curve():
    """The description names them; a perfect method is drawn at the left edge."""
    curves = [Curve("none", np.full((3, 2), NAN), Line("red")), Curve("exact", np.zeros((3, 2)), Line("blue"))]

    plot = plots.curves_plot(curves, (0.1, 10))

    assert [line.get_gid() for line in drawn(plot).lines] == ["title: exact"]
    assert curve(np.zeros((3, 2)), (0.1, 10))[-2].tolist() == [0.1, 1]
    assert "none no answer" in plot.description


def test_bars_are_as_high_as_their_numbers(parsed):
    """Whiskers reach from end to end, and a view without a number has a dash."""
    bars = [Estimate("-90°", 1.0, [0.5, 2.0]), Estimate("0°", 3.0, [3.0, 3.0]), Estimate("90°", None)]

    plot = plots.bars_plot(bars, 4.0, "azimuth", "mean error, %")
    axes = drawn(plot)

    assert axes.get_ylim() == (0, 4)
    assert [bar.get_height() for bar in axes.patches] == [1, 3]
    whiskers = [whisker.get_segments()[0].tolist() for whisker in axes.collections]
    assert whiskers == [[[0, 0.5], [0, 2]], [[1, 3], [1, 3]]]
    assert [text.get_text() for text in axes.texts] == ["1.00", "3.00", "-"]
    assert [text for text in texts(parsed, plot) if text.endswith("°")] == ["-90°", "0°", "90°"]
    assert "90° no answer" in plot.description


def test_a_rig_of_many_views_stays_readable(parsed):
    """Of 36 views every third is named, and none has its number written above it."""
    plot = plots.bars_plot([Estimate(f"view {i}", 1.0) for i in range(36)], 2.0, "view", "error")

    assert len(drawn(plot).patches) == 36
    assert not drawn(plot).texts
    assert [text for text in texts(parsed, plot) if text.startswith("view ")] == [f"view {i}" for i in range(0, 36, 3)]


def test_exact_regions_are_on_the_diagonal():
    """The diagonal has slope 1; a point's place is its two shares."""
    shares = [(0.0, 0.0), (0.5, 0.5), (0.68, 0.8), (1.0, 1.0)]

    plot = plots.calibration_plot(shares)

    diagonal, line = drawn(plot).lines
    assert (diagonal.get_xy1(), diagonal.get_xy2()) == ((0, 0), (1, 1))
    assert line.get_xydata().tolist() == [list(pair) for pair in shares]
    assert plots.calibration_plot([(0.5, 0.25)]).description == "expected 50 %, observed 25 %."


def test_methods_are_compared_on_one_axis(parsed):
    """Each row has a mark per projection; the projections differ in shape and colour, and the chosen one is bold."""
    rows = [
        Row("refined", (Estimate("orthographic", 1.0, [0.5, 2.0]), Estimate("perspective", 10.0, [8, 12])), True),
        Row("mlp", (Estimate("orthographic", 1.0), Estimate("perspective", None))),
    ]

    plot = plots.dots_plot(rows, (0.1, 100), "mean error, mm")
    axes = drawn(plot)

    circles, diamonds = axes.lines
    assert (circles.get_marker(), diamonds.get_marker()) == ("o", "D")
    assert circles.get_color() != diamonds.get_color()
    assert [line.get_xdata().tolist() for line in axes.lines] == [[1, 1], [10]]
    assert axes.collections[0].get_segments()[0][:, 0].tolist() == [0.5, 2]
    assert (axes.get_xscale(), axes.get_xlim()) == ("log", (0.1, 100))
    assert axes.yaxis_inverted()
    assert [(t.get_text(), t.get_fontweight()) for t in axes.get_yticklabels()] == [
        ("refined", "bold"),
        ("mlp", "normal"),
    ]
    assert texts(parsed, plot)[-2:] == ["orthographic", "perspective"]
    assert "perspective 10.00 (8.00 to 12.00)" in plot.description
