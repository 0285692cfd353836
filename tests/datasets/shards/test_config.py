"""What a rendering may not change."""

import json
from dataclasses import replace

import pytest

from featurelib.datasets.dataset import Dataset
from featurelib.datasets.schemas import objects_schema
from featurelib.datasets.shards.config import read_config, refuse_change, write_config
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet

SET = LandmarkSet((("ear_l", "ear_r"), ("eye_l", "eye_r")), midline=("chin",), unpaired=("scar",))


@pytest.fixture
def dataset(spec) -> Dataset:
    return Dataset("s3://heads", spec.unit, SET, spec.alignment, objects_schema(6).empty_table())


def refusal(folder, dataset, spec) -> str:
    """The line that refuses to go on."""
    with pytest.raises(DataError) as error:
        refuse_change(str(folder), read_config(str(folder)), dataset, spec)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_same_inputs_go_on(tmp_path, dataset, spec):
    """The dataset may move, and its landmarks may get other texts and outlines."""
    write_config(str(tmp_path), dataset, spec)
    earlier = read_config(str(tmp_path))
    described = replace(SET, definitions={"chin": "the lowest point"}, outlines=(("ear_l", "chin"),))

    refuse_change(str(tmp_path), earlier, replace(dataset, uri="elsewhere", landmarks=described), spec)
    refuse_change(str(tmp_path), {}, dataset, spec)


@pytest.mark.parametrize(
    ("landmarks", "words"),
    [
        (replace(SET, unpaired=()), "(with 'scar')"),
        (replace(SET, midline=("chin", "nose", "nasion")), "(without 'nose' and 1 more)"),
        (replace(SET, mirror="same"), "(with mirror 'swap', not 'same')"),
        (replace(SET, pairs=SET.pairs[::-1]), "(with the same names in another order or in other roles)"),
        (replace(SET, midline=("scar",), unpaired=("chin",)), "(with the same names in another order or in other"),
    ],
)
def test_another_set_is_refused(tmp_path, dataset, spec, landmarks, words):
    """In a few words, however large the sets are."""
    write_config(str(tmp_path), dataset, spec)
    line = refusal(tmp_path, replace(dataset, landmarks=landmarks), spec)

    assert line.startswith(f"{tmp_path}: was rendered with another landmark set {words}")
    assert line.endswith("; --overwrite renders anew")


def test_another_spec_is_refused(tmp_path, dataset, spec):
    write_config(str(tmp_path), dataset, spec)

    assert "was rendered with image_size 64, not 65; --overwrite renders anew" in refusal(
        tmp_path, dataset, replace(spec, image_size=65)
    )


def test_a_rendering_that_an_older_version_began_is_refused(tmp_path, dataset, spec):
    """It has no manifest that could tell its version."""
    write_config(str(tmp_path), dataset, spec)
    values = read_config(str(tmp_path))
    del values["landmarks"], values["mirror"]
    (tmp_path / "config.json").write_text(json.dumps({**values, "landmark": "tragus"}))

    assert refusal(tmp_path, dataset, spec).endswith(
        "begun by an older version of featurelib; --overwrite renders anew"
    )
