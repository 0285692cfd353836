"""Pairs from names: only names that differ by a word for the side."""

import pytest

from featurelib.datasets.pair_names import pairs_from_names


@pytest.mark.parametrize(
    "pair",
    [
        ("tragus_left", "tragus_right"),
        ("tragus_l", "tragus_r"),
        ("eye-L", "eye-R"),
        ("LeftEye", "RightEye"),
        ("L_eye", "R_eye"),
        ("LTragus", "RTragus"),
        ("orbLeft", "orbRight"),
        ("le. orbit", "ri. orbit"),
        ("upper left molar", "upper right molar"),
        ("Orb.L1", "Orb.R1"),
        ("EYE L", "EYE R"),
        ("left", "right"),
        ("œil gauche L", "œil gauche R"),
    ],
)
def test_a_word_for_the_side_makes_a_pair(pair):
    """Anywhere in the name, and in both orders of the names; left comes first."""
    for names in (pair, pair[::-1], ("nose", *pair, "chin")):
        found = pairs_from_names(names)

        assert found.pairs == (pair,)
        assert found.others == tuple(name for name in names if name not in pair)
        assert found.ambiguous == ()


@pytest.mark.parametrize(
    "names", [("26", "16"), ("Lip", "Rip"), ("tragus_left", "ear_right"), ("eye l 1", "eye r 2"), ("m01", "m02")]
)
def test_other_names_are_no_pair(names):
    assert pairs_from_names(names) == ((), names, ())


def test_names_of_several_pairs_are_not_guessed():
    """ "left r" and "right r" would be a pair, and so would "left r" and "left l"."""
    names = ("left l", "left r", "right r", "eye_l", "eye_r")
    found = pairs_from_names(names)

    assert found.pairs == (("eye_l", "eye_r"),)
    assert set(found.ambiguous) == {"left l", "left r", "right r"}
    assert found.landmark_set().unpaired == ("left l", "left r", "right r")


def test_the_set_has_pairs_and_unpaired_landmarks():
    """A name does not tell the midline."""
    found = pairs_from_names(["nose", "eye_R", "eye_L"]).landmark_set()

    assert (found.pairs, found.midline, found.unpaired, found.mirror) == ((("eye_L", "eye_R"),), (), ("nose",), "swap")
    assert pairs_from_names(["nose"]).landmark_set().mirror == "none"
