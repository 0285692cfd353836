import numpy as np
import pytest

from featurelib.evaluation.learning import Point, promises


def of_power(counts, exponent=0.5, relative=0.05):
    """Points on e(n) = 4 n^-b, with intervals of a share of the error."""
    errors = [4 * count**-exponent for count in counts]
    return [Point(n, e, e * (1 - relative), e * (1 + relative)) for n, e in zip(counts, errors, strict=True)]


@pytest.mark.parametrize("exponent", [0.2, 0.5, 1.0])
def test_a_power_is_continued(exponent):
    """Points on a power promise its values, inside their intervals, and more labels never promise a larger error."""
    found = promises(of_power((20, 40, 80), exponent))

    assert [promise.more for promise in found] == [20, 50]
    for promise in found:
        assert promise.median_mm == pytest.approx(4 * (80 + promise.more) ** -exponent)
        assert promise.low_mm < promise.median_mm < promise.high_mm
    assert found[1].median_mm < found[0].median_mm


def test_an_error_that_does_not_fall_promises_no_rise():
    """A later point that is worse by chance gives a flat curve."""
    points = [Point(20, 0.5, 0.4, 0.6), Point(40, 0.6, 0.5, 0.7)]

    [promise] = promises(points, (20,))
    assert 0.5 < promise.median_mm <= 0.6


def test_few_points_promise_nothing():
    """One number of objects has no slope, and no promise is for more than twice the objects."""
    assert promises(of_power((40,))) == []
    assert promises(of_power((40, 40))) == []
    assert [promise.more for promise in promises(of_power((10, 30)))] == [20]


def test_wider_intervals_promise_less():
    """The promise's interval grows with the points' intervals."""
    narrow, wide = (promises(of_power((20, 40), relative=share), (20,))[0] for share in (0.02, 0.2))

    assert np.log(wide.high_mm / wide.low_mm) > 5 * np.log(narrow.high_mm / narrow.low_mm)


def test_a_precise_point_has_more_weight():
    """The curve passes near the point with the narrow interval."""
    precise, vague = Point(100, 0.4, 0.399, 0.401), Point(100, 0.8, 0.4, 1.6)

    [promise] = promises([*of_power((25,)), precise, vague], (50,))
    assert promise.median_mm < 0.42
