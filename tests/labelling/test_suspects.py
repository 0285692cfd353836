"""Planted mistakes are named by their kind, and right labels are not named."""

import numpy as np
import pytest

from featurelib.geometry import LandmarkSet
from featurelib.labelling.suspects import exchanged_names, suspects

LANDMARKS = LandmarkSet((("a_left", "a_right"), ("b_left", "b_right"), ("c_left", "c_right")), ("d", "e"), ("f",))
COUNT = 60
IDS = [f"object-{i}" for i in range(COUNT)]


@pytest.fixture
def labels_mm() -> np.ndarray:
    """Objects with left at +x, two modes of variation and noise of 0.1 mm."""
    random = np.random.default_rng(1)
    left = random.uniform(20, 60, (3, 3))
    pairs = np.stack([left, left * (-1, 1, 1)], axis=1).reshape(6, 3)
    mean = np.concatenate([pairs, [[0, 50, 40], [0, -40, 50], [15, 70, -30]]])
    modes = np.einsum("nm,mkx->nkx", random.normal(size=(COUNT, 2)), random.normal(0, 2, (2, 9, 3)))
    return mean + modes + random.normal(0, 0.1, (COUNT, 9, 3))


def kinds(found) -> dict[tuple[str, str | None], str]:
    return {(each.object_id, each.landmark): each.kind for each in found}


def test_each_mistake_has_its_kind_and_comes_first(labels_mm):
    """All sides, one pair's sides and two names swapped, a slip, and a missing label in the same object."""
    at = LANDMARKS.index
    labels_mm[2, :6] = labels_mm[2, [1, 0, 3, 2, 5, 4]]
    labels_mm[5, [2, 3]] = labels_mm[5, [3, 2]]
    labels_mm[8, [at["d"], at["f"]]] = labels_mm[8, [at["f"], at["d"]]]
    labels_mm[11, at["e"]] += [3, 4, 0]
    labels_mm[11, 0] = np.nan

    found = suspects(LANDMARKS, IDS, labels_mm)

    expected = {
        (IDS[2], None): "sides swapped",
        **{(IDS[5], name): "sides swapped" for name in ("b_left", "b_right")},
        **{(IDS[8], name): "names swapped" for name in ("d", "f")},
        (IDS[11], "e"): "misplaced",
    }
    assert kinds(found[: len(expected)]) == expected
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert "from its place and" in next(each.reason for each in found if each.landmark == "d")


def test_right_labels_are_not_far(labels_mm):
    """Without a mistake no score is near that of one."""
    assert all(each.score < 6 for each in suspects(LANDMARKS, IDS, labels_mm))


def test_marks_of_another_object_are_off_the_surface(labels_mm):
    """Their shape is right, so the surface tells, and the whole object is named."""
    off_mm = np.full(labels_mm.shape[:2], 0.1)
    off_mm[4] = 6.0

    worst = suspects(LANDMARKS, IDS, labels_mm, off_mm=off_mm)[0]

    assert (worst.object_id, worst.landmark, worst.kind) == (IDS[4], None, "another object")
    assert "6 mm from the surface; the median is 0.1 mm" in worst.reason


def test_predictions_find_a_slip_of_a_single_landmark():
    """A set of one landmark has no shape; a standard deviation that is large excuses a large error."""
    landmarks, random = LandmarkSet((), (), ("tip",), "none"), np.random.default_rng(2)
    labels_mm = random.normal(0, 10, (COUNT, 1, 3))
    predicted_mm, sigma_mm = labels_mm + random.normal(0, 0.3, labels_mm.shape), np.full((COUNT, 1), 0.3)
    labels_mm[7] += [0, 5, 0]
    labels_mm[9] += [0, 5, 0]
    sigma_mm[9] = 3.0

    found = suspects(landmarks, IDS, labels_mm, predicted_mm, sigma_mm)

    assert (found[0].object_id, found[0].kind) == (IDS[7], "misplaced")
    assert IDS[9] not in {each.object_id for each in found}


def test_few_objects_are_not_compared(labels_mm):
    """Seven objects have no spread."""
    assert suspects(LANDMARKS, IDS[:7], labels_mm[:7]) == []


def test_sides_are_not_exchanged_where_mirror_images_have_the_same_names(labels_mm):
    """Pairs without a mirror image of their own do not tell sides, and a set without pairs is no error."""
    single = LandmarkSet((), ("d", "e"), ("f", "g"), "none")

    assert all(each.kind != "sides swapped" for each in suspects(single, IDS, labels_mm[:, 5:]))


def test_names_are_exchanged_if_both_fit():
    """A label in the place of another one that is right is not exchanged with it."""
    places = np.array([[0.0, 0, 0], [10, 0, 0], [20, 0, 0]])
    points = places[[1, 0, 0]]

    assert exchanged_names(points, places, np.arange(2)) == {0: 1, 1: 0}
    assert exchanged_names(points, places, np.array([2])) == {}
