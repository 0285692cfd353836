"""The direction of each landmark's errors, and the noise of its labels."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from featurelib.evaluation.scatter import label_noise_mm, scatter, scatter_report
from featurelib.geometry import LandmarkSet

NAN = float("nan")
MIXED = LandmarkSet((("eye_left", "eye_right"),), midline=("nose",), unpaired=("scar",))


def drawn(sigmas_mm, count=500, seed=0) -> np.ndarray:
    """Errors with standard deviations along x, y and z."""
    return np.random.default_rng(seed).normal(0, sigmas_mm, (count, 3))


def test_the_main_direction_of_errors_is_found() -> None:
    """In any orientation, with the bias apart; unknown errors do not count."""
    turn = Rotation.from_euler("xyz", [20, 40, 60], degrees=True)
    residuals_mm = np.add(turn.apply(drawn((0.1, 0.4, 0.1))), (1, 2, 3))

    found = scatter(np.concatenate([residuals_mm, [[NAN] * 3]]))

    assert found.n == 500
    assert found.along_mm == pytest.approx(0.4, rel=0.1)
    assert found.across_mm == pytest.approx(0.1, rel=0.1)
    assert abs(found.direction @ turn.apply([0, 1, 0])) > 0.99
    np.testing.assert_allclose(found.bias_mm, (1, 2, 3), atol=0.1)
    assert found.is_elongated


def test_one_gross_error_does_not_make_a_direction() -> None:
    residuals_mm = drawn((0.2, 0.2, 0.2), 40)
    residuals_mm[0] = (30, 0, 0)

    assert not scatter(residuals_mm).is_elongated


def test_few_objects_have_no_scatter() -> None:
    assert scatter(drawn((1, 1, 1), 7)) is None
    assert scatter(np.full((20, 3), NAN)) is None


@pytest.mark.parametrize("mirror", ["swap", "same", "none"])
def test_label_noise_is_what_left_and_right_do_not_share(mirror) -> None:
    """Errors that both sides have, mirrored, are no noise; only pairs whose names a mirror image exchanges have it."""
    landmarks = LandmarkSet((("eye_left", "eye_right"),), ("nose",), mirror=mirror)
    shared, left, right = (drawn(sigma, seed=i) for i, sigma in enumerate((0.5, 0.1, 0.1)))
    residuals_mm = np.stack([shared + left, (shared + right) * (-1, 1, 1), drawn(0.3, seed=4)], axis=1)

    noise_mm = label_noise_mm(residuals_mm, landmarks)

    if mirror == "swap":
        assert noise_mm == [pytest.approx(0.1, rel=0.1)] * 2 + [None]
    else:
        assert noise_mm == [None] * 3


def test_the_report_says_what_is_badly_defined_and_what_is_noise() -> None:
    """Independent errors of left and right are noise; one direction four times as wide is badly defined."""
    residuals_mm = np.stack(
        [drawn(0.1), drawn(0.1, seed=1), drawn((0.1, 0.4, 0.1), seed=2), drawn(0.2, seed=3)], axis=1
    )
    residuals_mm[5:, 3] = NAN

    report = scatter_report(residuals_mm, MIXED)

    assert list(report) == list(MIXED.names)
    assert report["eye_left"]["note"] == report["eye_right"]["note"]
    assert report["eye_left"]["note"].startswith("at the labels' noise")
    assert report["nose"]["note"] == ("badly defined in one direction: scatters 0.40 mm along up-down, 0.10 mm across")
    assert report["nose"]["label_noise_mm"] is None
    assert report["scar"] == {
        **dict.fromkeys(("bias_mm", "along_mm", "across_mm", "direction", "label_noise_mm")),
        "note": "",
    }
