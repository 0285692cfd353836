import re

import numpy as np
import pytest

from featurelib.evaluation import plots
from featurelib.evaluation.plots import Curve, Estimate, Row

NAN = float("nan")
ERRORS = np.random.default_rng(0).gamma(2, size=(50, 2))


def moves(d: str) -> np.ndarray:
    """The corners (n, 2) of a step curve's path."""
    x, y = (float(value) for value in re.match(r"M(\S+) ([\d.]+)", d).groups())
    points = [(x, y)]
    for kind, value in re.findall(r"([HV])([\d.]+)", d):
        x, y = (float(value), y) if kind == "H" else (x, float(value))
        points.append((x, y))
    return np.array(points)


def numbers(element, *names: str) -> list[float]:
    """Attributes of an element as numbers."""
    return [float(element.attributes[name]) for name in names]


def test_a_cumulative_curve_says_how_many_are_closer():
    """At each error it is the share of landmarks no further off: ascending, from above 0 to 1."""
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


@pytest.mark.parametrize("count", [1, 50, 5000])
def test_a_drawn_curve_rises_from_the_axis_to_the_top(parsed, count):
    """It starts at 0 % on the left, only ever goes right and up, and ends at 100 % on the right; many steps or few."""
    errors = np.random.default_rng(1).gamma(2, size=(count, 2))

    drawn = parsed(plots.curves_plot("a", "title", [Curve("mlp", errors, "c1")], plots.error_limits([errors])))

    [path] = drawn.all("path", "curve")
    points = moves(path.attributes["d"])
    assert points[0] == pytest.approx([plots.LEFT, plots.HEIGHT - plots.BOTTOM])
    assert points[-1] == pytest.approx([plots.WIDTH - plots.RIGHT, plots.TOP])
    assert (np.diff(points[:, 0]) >= 0).all()
    assert (np.diff(points[:, 1]) <= 0).all()
    assert len(points) <= 2 * plots.MAX_STEPS + 2


def test_a_curve_passes_its_median_at_the_half(parsed):
    """Where 50 % is reached, the axis says the median, on the scale that its ticks have."""
    limits = plots.error_limits([ERRORS])
    drawn = parsed(plots.curves_plot("a", "title", [Curve("mlp", ERRORS, "c1")], limits))
    points = moves(drawn.all("path")[0].attributes["d"])

    half = (plots.HEIGHT - plots.BOTTOM + plots.TOP) / 2
    share = np.log(np.median(ERRORS) / limits[0]) / np.log(limits[1] / limits[0])
    at = plots.LEFT + share * (plots.WIDTH - plots.RIGHT - plots.LEFT)
    assert np.interp(-half, -points[:, 1], points[:, 0]) == pytest.approx(at, abs=2)


def test_the_error_axis_holds_all_but_lucky_landmarks():
    """It ends beyond the largest error of all methods, and does not stretch for a single error of nothing."""
    lucky = ERRORS.copy()
    lucky[0] = 1e-9

    low, high = plots.error_limits([lucky, 30 * ERRORS, np.full((3, 2), NAN)])

    assert 0.01 < low < np.median(ERRORS)
    assert high >= 30 * ERRORS.max()
    assert plots.error_limits([np.zeros((3, 2)), np.full((3, 2), NAN)]) == plots.FALLBACK_MM
    assert plots.error_limits([np.full((3, 2), 2.0)]) == (2, 20)


def test_methods_without_an_answer_have_no_curve(parsed):
    """They are said, not drawn; perfect ones are drawn at the left edge."""
    curves = [Curve("none", np.full((3, 2), NAN), "c1"), Curve("exact", np.zeros((3, 2)), "c2")]

    drawn = parsed(plots.curves_plot("a", "title", curves, (0.1, 10)))

    [path] = drawn.all("path")
    assert moves(path.attributes["d"])[-2] == pytest.approx([plots.LEFT, plots.TOP])
    assert "none no answer" in drawn.all("desc")[0].text


def test_bars_are_as_high_as_their_numbers(parsed):
    """Heights are in proportion, whiskers reach from end to end, and a view without a number has a dash."""
    bars = [Estimate("-90°", 1.0, [0.5, 2.0]), Estimate("0°", 3.0, [3.0, 3.0]), Estimate("90°", None)]

    drawn = parsed(plots.bars_plot("a", "title", bars, 4.0, "azimuth", "mean error, %"))

    low, high = (numbers(rect, "y", "height") for rect in drawn.all("rect", "bar"))
    bottom, full = plots.HEIGHT - plots.BOTTOM, plots.HEIGHT - plots.BOTTOM - plots.TOP
    assert sum(low) == pytest.approx(sum(high)) == pytest.approx(bottom)
    assert [low[1], high[1]] == pytest.approx([full / 4, 3 * full / 4], abs=0.01)
    whisker = drawn.all("line", "whisker")[0]
    assert numbers(whisker, "y1", "y2") == pytest.approx([bottom - full / 8, bottom - full / 2], abs=0.01)
    assert [each.text for each in drawn.all("text") if each.text in ("-90°", "0°", "90°")] == ["-90°", "0°", "90°"]
    assert "90° no answer" in drawn.all("desc")[0].text


def test_a_rig_of_many_views_stays_readable(parsed):
    """Of 36 views every third is named, and none has its number written above it."""
    bars = [Estimate(f"view {i}", 1.0) for i in range(36)]

    drawn = parsed(plots.bars_plot("a", "title", bars, 2.0, "view", "error"))

    assert len(drawn.all("rect")) == 36
    assert [each.text for each in drawn.all("text") if each.text.startswith("view ")] == [
        f"view {i}" for i in range(0, 36, 3)
    ]
    assert not drawn.all("text", "value")


def test_claims_that_hold_lie_on_the_diagonal(parsed):
    """The diagonal goes from corner to corner; a point's place is its two shares."""
    shares = [(0.0, 0.0), (0.5, 0.5), (0.68, 0.8), (1.0, 1.0)]

    drawn = parsed(plots.calibration_plot("a", "title", shares))

    [diagonal] = drawn.all("line", "diagonal")
    x1, y1, x2, y2 = numbers(diagonal, "x1", "y1", "x2", "y2")
    dots = np.array([numbers(dot, "cx", "cy") for dot in drawn.all("circle", "dot")])
    np.testing.assert_allclose(dots[[0, 1, 3]], [(x1, y1), ((x1 + x2) / 2, (y1 + y2) / 2), (x2, y2)], atol=0.01)
    assert dots[2] == pytest.approx([x1 + 0.68 * (x2 - x1), y1 + 0.8 * (y2 - y1)], abs=0.01)
    assert y2 < y1  # up is more


def test_methods_stand_beside_each_other(parsed):
    """Each has a line with a mark for each projection on the same axis; the projections differ in shape and colour."""
    rows = [
        Row("refined", (Estimate("orthographic", 1.0, [0.5, 2.0]), Estimate("perspective", 10.0, [8, 12])), True),
        Row("mlp", (Estimate("orthographic", 1.0), Estimate("perspective", None))),
    ]

    drawn = parsed(plots.dots_plot("a", "title", rows, (0.1, 100), "mean error, mm"))

    circles, diamonds = drawn.all("circle", "c1"), drawn.all("path", "c2")
    assert (len(circles), len(diamonds)) == (2, 1)
    x = np.array([numbers(each, "cx")[0] for each in circles])
    assert x[0] == x[1]
    low, high = numbers(drawn.all("line", "interval")[0], "x1", "x2")
    assert low < x[0] < high
    assert x[0] - low == pytest.approx(high - x[0], abs=0.02)  # a half and the double, on a logarithmic axis
    assert [each.text for each in drawn.all("text", "row-name")] == ["refined", "mlp"]
    assert "perspective 10.00 (8.00 to 12.00)" in drawn.all("desc")[0].text


def test_a_picture_is_said_in_words(parsed):
    """A screen reader gets the title and what is to be seen, by ids that belong to this plot."""
    [svg] = parsed(plots.calibration_plot("claims-0", "Claims", [(0.5, 0.25)])).all("svg")

    [title], [description] = svg.all("title"), svg.all("desc")
    assert svg.attributes["role"] == "img"
    assert svg.attributes["aria-labelledby"] == title.attributes["id"] == "claims-0-title"
    assert svg.attributes["aria-describedby"] == description.attributes["id"]
    assert (title.text, description.text) == ("Claims", "claimed 50 %, real 25 %.")
