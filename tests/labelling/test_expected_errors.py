import numpy as np
import pytest

from featurelib.labelling.expected_errors import REJECTED, ExpectedErrors
from featurelib.models.predictions import PredictedObjects


def expected(sigma_mm, accepted, reasons=None) -> ExpectedErrors:
    sigma_mm = np.array(sigma_mm, float)
    texts = np.where(accepted, "", "far") if reasons is None else np.array(reasons, object)
    ids = [str(i) for i in range(len(sigma_mm))]
    points = np.zeros((*sigma_mm.shape, 3))
    return ExpectedErrors.of(PredictedObjects(ids, points, sigma_mm, np.array(accepted), texts))


def test_all_landmarks_of_an_object_count():
    """The standard deviation is the root mean square, and a landmark that is absent does not count."""
    found = expected([[3.0, 4.0], [2.0, np.nan]], [[True, True], [True, True]])

    assert found.sigma_mm == pytest.approx([np.sqrt(12.5), 2])
    assert found.variance_mm2 == pytest.approx([12.5, 4])
    assert found.rejected.tolist() == [0, 0]
    assert found.reasons == ("", "")


def test_a_landmark_that_is_not_accepted_has_larger_errors():
    """Its standard deviation is what it was."""
    found = expected([[1.0, 1.0]], [[True, False]])

    assert found.sigma_mm == pytest.approx([1])
    assert found.variance_mm2 == pytest.approx([(1 + REJECTED**2) / 2])
    assert (found.rejected.tolist(), found.reasons) == ([1], ("far",))


def test_the_most_frequent_reason_is_given():
    found = expected([[1.0] * 3], [[False] * 3], [["blurred", "far", "far"]])

    assert found.reasons == ("far",)


@pytest.mark.parametrize("others", [[[1.0, 2.0], [5.0, 1.0]], [[np.nan, np.nan]]])
def test_an_object_without_a_prediction_has_the_largest_error(others):
    """Nothing is known about it, so none is more worth a label."""
    found = expected([*others, [np.nan, np.nan]], [*[[True, True]] * len(others), [False, False]])

    assert np.isnan(found.sigma_mm[-1])
    assert found.variance_mm2[-1] == found.variance_mm2.max() > 0


def test_some_objects_can_be_taken():
    found = expected([[1.0], [2.0], [3.0]], [[True], [False], [True]]).take([2, 1])

    assert found.sigma_mm.tolist() == [3, 2]
    assert (found.rejected.tolist(), found.reasons) == ([0, 1], ("", "far"))
