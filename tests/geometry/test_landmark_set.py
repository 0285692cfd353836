"""The landmark set: names in order, roles, and the one permutation that knows sides."""

import numpy as np
import pytest

from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet, canonical, mirror_landmarks, mirror_permutation, permuted

VALUES = {
    "pairs": [["ear_left", "ear_right"], ["26", "16"]],
    "midline": ["nasion"],
    "unpaired": ["fracture", "Zähnchen"],
    "outlines": [["ear_left", "nasion", "ear_right"]],
    "definitions": {"nasion": "where the frontal and nasal bones meet"},
}
SET = LandmarkSet.from_dict(VALUES)


def test_names_are_in_order_and_unchanged():
    """Pairs first, left before right; then midline, then unpaired."""
    assert SET.names == ("ear_left", "ear_right", "26", "16", "nasion", "fracture", "Zähnchen")
    assert SET.sides == ("left", "right", "left", "right", None, None, None)
    assert [SET.index[name] for name in SET.names] == list(range(7))
    assert SET.slots.tolist() == [[0, 1], [2, 3], [4, 4], [5, 5], [6, 6]]


def test_a_set_survives_its_dictionary():
    """The dictionary is that of dataset.json."""
    again = LandmarkSet.from_dict(SET.to_dict(), SET.mirror)
    assert SET.to_dict() == VALUES
    assert (again, again.hash, again.outlines, again.definitions) == (SET, SET.hash, SET.outlines, SET.definitions)


def test_one_pair_is_the_smallest_set():
    """Its names follow from the landmark's."""
    one = LandmarkSet.single_pair("tragus")
    assert one == LandmarkSet.from_dict({"pairs": [["tragus_left", "tragus_right"]]})
    assert one.is_single_pair
    assert not SET.is_single_pair
    assert canonical(one).num_channels == 1


def test_the_hash_depends_on_what_shapes_results():
    """Outlines and definitions do not."""
    same = LandmarkSet.from_dict({**VALUES, "outlines": [], "definitions": {}})
    assert same.hash == SET.hash
    for change in ({"midline": []}, {"pairs": [["ear_right", "ear_left"], ["26", "16"]]}):
        other = LandmarkSet.from_dict({**VALUES, "outlines": [], "definitions": {}, **change})
        assert other.hash != SET.hash
    assert LandmarkSet.from_dict(VALUES, "same").hash != SET.hash


@pytest.mark.parametrize("mirror", ["swap", "same"])
def test_the_permutation_is_an_involution(mirror):
    """What a mirrored object lacks stays missing."""
    order = mirror_permutation(LandmarkSet.from_dict(VALUES, mirror))
    kept = order >= 0
    np.testing.assert_array_equal(order[order[kept]], np.flatnonzero(kept))
    assert kept.all() == (mirror == "same")


def test_each_rule_names_the_mirrored_landmarks():
    """Swap exchanges pairs and drops unpaired ones; same keeps all; none has no mirrored object."""
    named = {m: mirror_permutation(LandmarkSet.from_dict(VALUES, m)) for m in ("swap", "same", "none")}
    assert named["swap"].tolist() == [1, 0, 3, 2, 4, -1, -1]
    assert named["same"].tolist() == list(range(7))
    assert named["none"] is None


def test_without_pairs_nothing_is_mirrored_by_default():
    """A user says `same` where it is meant."""
    assert LandmarkSet.from_dict({"unpaired": ["a"]}).mirror == "none"
    assert LandmarkSet.from_dict({"pairs": [["a", "b"]]}).mirror == "swap"


def test_mirroring_twice_gives_the_landmarks_back():
    """Except those that the mirrored object lacks."""
    order = mirror_permutation(SET)
    points = np.random.default_rng(0).normal(size=(4, 7, 3))
    mirrored = mirror_landmarks(points, order, 2.0)
    np.testing.assert_array_equal(mirrored[:, 0], points[:, 1] * (-1, 1, 1) + (4, 0, 0))
    assert np.isnan(mirrored[:, 5:]).all()
    np.testing.assert_allclose(mirror_landmarks(mirrored, order, 2.0)[:, :5], points[:, :5])
    assert permuted(np.ones(7, bool), order, axis=-1).tolist() == [True] * 5 + [False] * 2


def test_canonical_channels_hold_a_pair_once():
    """Right landmarks are found in the mirrored object; without pairs nothing is."""
    found = canonical(SET)
    assert found.channel.tolist() == [0, 0, 1, 1, 2, 3, 4]
    assert found.is_mirrored.tolist() == [False, True, False, True, False, False, False]
    assert found.num_channels == 5
    for mirror in ("same", "none"):
        other = canonical(LandmarkSet.from_dict(VALUES, mirror))
        assert (other.num_channels, other.is_mirrored.any()) == (7, False)


@pytest.mark.parametrize(
    ("values", "mirror", "line"),
    [
        ({"midline": ["a", "a"]}, None, "'a' is twice in midline; a landmark has one place"),
        ({"pairs": [["a", "a"]]}, None, r"pairs: \['a', 'a'\]; expected \[left, right\], two different names"),
        ({"pairs": [["a", "b"]], "midline": ["b"]}, None, "'b' is in pairs and in midline"),
        ({"pairs": [["a", "b"], ["b", "c"]]}, None, "'b' is twice in pairs"),
        ({"pairs": [["a"]]}, None, r"pairs: \['a'\]; expected"),
        ({"pairs": ["ab"]}, None, "pairs: 'ab'; expected a list of names"),
        ({"midline": [3]}, None, "midline: 3; expected a name"),
        ({"midline": [" a"]}, None, "midline: ' a'; expected a name, a text without blanks"),
        ({}, None, "no landmarks; expected names under pairs, midline or unpaired"),
        ({"middle": ["a"]}, None, r"\['middle'\]; expected an object with some of pairs, midline"),
        ({"midline": ["a"], "outlines": [["a", "b"]]}, None, "outlines: 'b' is in none of pairs, midline, unpaired"),
        ({"midline": ["a"], "definitions": {"b": ""}}, None, "definitions: 'b' is in none of"),
        ({"midline": ["a"], "definitions": {"a": 1}}, None, "definitions {'a': 1}; expected texts by name"),
        ({"midline": ["a"]}, "flip", "mirror 'flip'; expected one of swap, same, none"),
        ("tragus", None, "'tragus'; expected an object"),
    ],
)
def test_a_bad_set_is_one_line(values, mirror, line):
    """With the value and what was expected."""
    with pytest.raises(DataError, match=f"^dataset.json: {line}"):
        LandmarkSet.from_dict(values, mirror, name="dataset.json")


def test_each_landmark_has_a_role():
    """Sides are roles, too."""
    landmarks = LandmarkSet((("a", "b"),), ("nose",), ("scar",))

    assert landmarks.roles == ("left", "right", "midline", "unpaired")
