"""The fields of a set's landmarks: by name, null where nothing is known, and which of a pair is the nearer one."""

import numpy as np
import pytest

from featurelib.geometry import LandmarkSet
from serve.api.about import landmarks_of, pair_name
from serve.api.landmark_fields import FoundInImage, listed, near_flags

MIXED = LandmarkSet(
    pairs=(("ear_l", "ear_r"), ("26", "16")),
    midline=("nasion",),
    unpaired=("fracture",),
    outlines=(("ear_l", "nasion", "ear_r"),),
    definitions={"nasion": "between the eyes"},
)
PAIR = LandmarkSet.single_pair("tragus")


def found_in(landmarks, *, near, visible=0.8, sigma_xy=None):
    """A detection at (0.1 i, 0.2) of landmark i, in an image of 200 by 100 pixels in a square of 200."""
    count = len(landmarks.names)
    xy = np.stack([0.1 * np.arange(count), np.full(count, 0.2)], axis=-1)
    return FoundInImage(landmarks, xy, np.full(count, visible), np.array(near), sigma_xy, (200, 100), 200)


def test_the_nearer_of_each_pair_is_marked():
    """Where it is not known both are null; a landmark without a counterpart is near."""
    assert near_flags(MIXED, [1, -1, -1, 0]) == [False, True, None, None, True, True]
    assert near_flags(PAIR, [0]) == [True, False]


def test_fields_are_by_name_in_the_order_of_the_set():
    """px follow from xy and the image's size; the errors are those of each landmark's slot."""
    sigma_xy = np.array([[0.01, 0.02], [0.03, 0.04], [0.05, 0.06], [np.nan, np.nan]])
    fields = found_in(MIXED, near=[0, 1, 0, 0], sigma_xy=sigma_xy).fields()

    assert [one["name"] for one in fields] == list(MIXED.names)
    np.testing.assert_allclose([one["px"] for one in fields], [[20 * i, 20] for i in range(6)], atol=1e-6)
    expected = [[2, 4], [2, 4], [6, 8], [6, 8], [10, 12]]
    np.testing.assert_allclose([one["sigma_xy_px"] for one in fields[:5]], expected)
    assert fields[3]["sigma_px"] == pytest.approx(10)
    assert (fields[5]["sigma_xy_px"], fields[5]["sigma_px"]) == (None, None)
    assert {one["visible"] for one in fields} == {0.8}


def test_a_detector_with_one_position_for_a_pair_has_none_for_the_farther_one():
    """Its position is that of the near one; without knowledge which that is, it stands for both."""
    fields = found_in(MIXED, near=[1, -1, 0, 0], visible=np.nan).fields()

    assert [one["xy"] is None for one in fields] == [True, False, False, False, False, False]
    assert {one["visible"] for one in fields} == {None}


def test_a_single_pair_has_its_near_one_too():
    """xy, px and the errors are those of the near one; a pair needs a detector that finds both."""
    sigma_xy = np.array([[0.03, 0.04]])
    both = found_in(PAIR, near=[1], sigma_xy=sigma_xy)
    one = found_in(PAIR, near=[-1], visible=np.nan)

    assert both.pair_fields()["xy"] == both.pair_fields()["pair"]["right"]["xy"] == both.fields()[1]["xy"]
    assert both.pair_fields()["sigma_px"] == pytest.approx(10)
    assert (one.pair_fields()["pair"], one.pair_fields()["sigma_px"]) == (None, None)


def test_an_entry_with_a_nan_is_null():
    """A missing number never becomes one, and does not reach other landmarks."""
    assert listed([[1.0, 2.0], [np.nan, 3.0]]) == [[1.0, 2.0], None]
    assert listed([np.nan, 0.1234567890123]) == [None, 0.123456789]
    assert listed(np.zeros((2, 3, 3)))[0] == [[0.0] * 3] * 3


def test_a_set_is_described_in_full():
    """The description makes the same set again; only a pair in the old spelling has a name of its own."""
    described = landmarks_of(MIXED).model_dump()
    names, mirror = described.pop("names"), described.pop("mirror")

    assert names == list(MIXED.names)
    assert LandmarkSet.from_dict(described, mirror).hash == MIXED.hash
    assert described["outlines"] == [["ear_l", "nasion", "ear_r"]]
    assert [pair_name(each) for each in (PAIR, MIXED, LandmarkSet((("26", "16"),)))] == ["tragus", None, None]
