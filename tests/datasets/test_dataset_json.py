import json

import pytest

from featurelib.datasets.dataset_json import read_settings, set_values, settings_json
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet

SETTINGS = {"unit": "cm", "landmark": "tragus"}


@pytest.fixture
def refusal(tmp_path):
    """A function: the error message for a file's text, one line without the file's name."""

    def message_of(text: str) -> str:
        uri = tmp_path / "dataset.json"
        uri.write_text(text)
        with pytest.raises(DataError) as error:
            read_settings(str(uri))
        assert "\n" not in str(error.value)
        assert str(error.value).startswith(f"{uri}: ")
        return str(error.value).removeprefix(f"{uri}: ")

    return message_of


def test_settings_are_read_as_they_were_written(tmp_path):
    """Unit, landmark and alignment come back."""
    alignment = {"rotations_wxyz": [[1.0, 0.0, 0.0, 0.0]], "scale": 2.0}
    (tmp_path / "dataset.json").write_bytes(settings_json({**SETTINGS, "alignment": alignment}))
    unit, landmarks, found = read_settings(str(tmp_path / "dataset.json"))

    assert (unit, landmarks, found.to_dict()) == ("cm", LandmarkSet.single_pair("tragus"), alignment)


@pytest.mark.parametrize("mirror", ["swap", "same", "none"])
def test_a_set_is_read_as_it_was_written(tmp_path, mirror):
    """Names, roles, mirror, outlines and definitions come back."""
    landmarks = LandmarkSet((("26", "16"),), ("nasion",), ("scar",), mirror, (("26", "nasion"),), {"nasion": "root"})
    (tmp_path / "dataset.json").write_bytes(settings_json({"unit": "mm", **set_values(landmarks)}))
    read = read_settings(str(tmp_path / "dataset.json")).landmarks

    assert (read, read.outlines, read.definitions) == (landmarks, landmarks.outlines, landmarks.definitions)


def test_a_single_pair_may_have_a_mirror(tmp_path):
    """In the short spelling, too."""
    (tmp_path / "dataset.json").write_bytes(settings_json({**SETTINGS, "mirror": "none"}))

    assert read_settings(str(tmp_path / "dataset.json")).landmarks.mirror == "none"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unit": "miles"}, "unit 'miles'; expected one of mm, cm, m, inch"),
        ({"unit": None}, "unit None; expected one of mm, cm, m, inch"),
        ({"unit": ["mm"]}, "unit ['mm']; expected one of mm, cm, m, inch"),
        ({"landmark": ""}, "landmark ''; expected its name"),
        ({"landmark": None}, "landmark None; expected its name"),
        ({"landmark": 7}, "landmark 7; expected its name"),
        ({"landmarks": {"midline": ["a"]}}, "both landmark and landmarks; keep one of them"),
        ({"mirror": "left"}, "landmark: mirror 'left'; expected one of swap, same, none"),
        ({"alignment": [1, 0, 0, 0]}, "alignment [1, 0, 0, 0]; expected {"),
        ({"alignment": {"rotations_wxyz": [[1, 0, 0]]}}, "alignment: quaternion [1.0, 0.0, 0.0] is not four"),
        ({"alignment": {"rotations_wxyz": [[0, 0, 0, 0]]}}, "alignment: a quaternion of length zero"),
        ({"alignment": {"rotations_wxyz": 1}}, "alignment: "),
        ({"alignment": {"scale": 0}}, "alignment: scale 0; expected a positive number"),
        ({"alignment": {"scale": "big"}}, "alignment: "),
    ],
)
def test_bad_settings_are_named(refusal, change, message):
    """The error names the value and what was expected."""
    assert refusal(json.dumps({**SETTINGS, **change})).startswith(message)


@pytest.mark.parametrize(
    ("landmarks", "message"),
    [
        ([], "landmarks: []; expected an object with some of pairs, midline"),
        ({}, "landmarks: no landmarks; expected names"),
        ({"points": ["a"]}, "landmarks: ['points']; expected"),
        ({"pairs": [["a", "a"]]}, "landmarks: pairs: ['a', 'a']; expected [left, right], two different names"),
        ({"midline": ["a", "a"]}, "landmarks: 'a' is twice in midline"),
        ({"pairs": [["a", "b"]], "unpaired": ["b"]}, "landmarks: 'b' is in pairs and in unpaired"),
    ],
)
def test_bad_sets_are_named(refusal, landmarks, message):
    """One line with the file, the name and its fault."""
    assert refusal(json.dumps({"unit": "mm", "landmarks": landmarks})).startswith(message)


@pytest.mark.parametrize("text", ["", "{", "unit: mm", "\x00"])
def test_text_that_is_not_json_is_refused(refusal, text):
    """The error says that the file is not JSON."""
    assert refusal(text).startswith("not JSON")


@pytest.mark.parametrize("text", ["[]", "7", "null", '"mm"'])
def test_json_that_is_not_an_object_is_refused(refusal, text):
    """The error shows an object that would do."""
    assert '"unit": "mm"' in refusal(text)
