"""The set of an import: told, named or inferred."""

import json

import numpy as np
import pytest

from featurelib.datasets.import_set import given_set, inferred_set, named_set, read_set, unpaired_set
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet

SET = LandmarkSet((("26", "16"),), ("nasion",), ("scar",), "same", outlines=(("26", "nasion"),))


def test_a_file_tells_the_set(tmp_path):
    """With its outlines and what a mirror image is."""
    path = tmp_path / "set.json"
    path.write_text(json.dumps({"landmarks": SET.to_dict(), "mirror": "same", "unit": "mm"}))
    found = read_set(str(path))

    assert (found, found.outlines) == (SET, SET.outlines)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[]", "expected landmarks as in dataset.json"),
        ('{"pairs": []}', "expected landmarks as in dataset.json"),
        ('{"landmarks": {"pairs": [["a"]]}}', "landmarks: pairs: "),
        ('{"landmarks": {"midline": ["a"]}, "mirror": "twice"}', "mirror 'twice'; expected one of"),
    ],
)
def test_a_bad_file_is_named(tmp_path, content, message):
    (tmp_path / "set.json").write_text(content)
    with pytest.raises(DataError, match=message) as raised:
        read_set(str(tmp_path / "set.json"))

    assert str(raised.value).startswith(str(tmp_path / "set.json"))


def test_points_that_are_not_in_a_given_set_are_noted():
    """All points elsewhere are an error; a set without points in the files is none."""
    assert given_set(SET, ("nasion", "26")).notes == []
    assert given_set(SET, ("nasion", "chin")).notes == ["not in the set, so not imported: chin"]
    assert given_set(SET, ()).landmarks == SET
    with pytest.raises(DataError, match="none of the points chin is in the set: 26, 16, nasion, scar"):
        given_set(SET, ("chin",))


def test_what_names_do_not_tell_is_said():
    assert named_set(("eye_l", "eye_r")).notes == []
    assert "unpaired, as their names tell no pair: nose" in named_set(("eye_l", "eye_r", "nose")).notes[0]
    assert "no name tells a side" in named_set(("1", "2")).notes[0]
    assert "their names tell several pairs" in named_set(("left l", "left r", "right r")).doubts[0]
    assert unpaired_set(("a", "b")).landmarks == LandmarkSet((), (), ("a", "b"), "none")


def test_inferred_pairs_are_shown_with_their_gaps():
    """In lines that a person confirms, with the place of the picture."""
    rng = np.random.default_rng(0)
    left = rng.normal(size=(6, 3)) + np.array([3, 0, 0])
    points = np.stack([left, left * (-1, 1, 1)], axis=1).reshape(1, 12, 3) + 0.01 * rng.normal(size=(9, 12, 3))
    names = [f"{k}{side}" for k in range(6) for side in "ab"]
    found = inferred_set(names, points, "out/pairs.html", is_aligned=False)

    assert "confirm them in out/pairs.html" in found.pairs[0]
    assert found.pairs[1].startswith("  left 0a, right 0b: 0.")
    assert found.pairs[-2:] == ["  midline: none", "  unpaired: none"]
    assert "the side towards +x of the mesh files was taken for left" in found.doubts[0]
    assert inferred_set(names, points, "", is_aligned=True).doubts == []
