"""The image width of a dataset that is larger than the sample for its estimate."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from featurelib.datasets.schemas import objects_schema
from featurelib.datasets.shards.frame import FRAME_SAMPLE
from featurelib.validation.dataset.rules.sizes import cut_by_the_frame, frame_of_the_images


@pytest.fixture
def crowd(clean_survey):
    """A survey of many objects, all equal to the first one."""
    first = clean_survey.measured[0]
    rows = [replace(first, object_id=f"{i:04d}") for i in range(4 * FRAME_SAMPLE)]
    table = pa.Table.from_pylist(
        [{"object_id": row.object_id, "mesh": "m.ply", "group": row.object_id, "split": "train"} for row in rows],
        schema=objects_schema(2),
    )
    return replace(clean_survey, dataset=replace(clean_survey.dataset, objects=table), measured=rows)


def larger(crowd, i: int, factor: float):
    """The survey with one object that needs a wider image."""
    rows = list(crowd.measured)
    rows[i] = replace(rows[i], frames_mm={p: factor * mm for p, mm in rows[i].frames_mm.items()})
    return replace(crowd, measured=rows)


def test_an_object_outside_of_the_sample_is_cut(crowd):
    """The line names the width that it needs and the estimated width, as `render` would."""
    (finding,) = cut_by_the_frame(larger(crowd, 1, 1.5))

    assert (finding.rule, finding.severity, finding.object_id) == ("frame", "warning", "0001")
    assert "it would need an image" in finding.message
    assert "set --frame-mm" in finding.fix


@pytest.mark.parametrize(("factor", "odd"), [(1.2, []), (1.9, ["0000"])])
def test_an_object_of_the_sample_widens_the_frame(crowd, factor, odd):
    """A little wider is normal; much wider makes all images too wide."""
    survey = larger(crowd, 0, factor)

    assert list(cut_by_the_frame(survey)) == []
    assert [finding.object_id for finding in frame_of_the_images(survey)] == [None, *odd]


def test_a_landmark_far_away_is_cut(crowd):
    """The object fits into the image, its landmark does not."""
    rows = list(crowd.measured)
    far = replace(rows[5].labels, frames_mm={p: np.array([mm, 3 * mm]) for p, mm in rows[5].frames_mm.items()})
    rows[5] = replace(rows[5], labels=far)

    (finding,) = cut_by_the_frame(replace(crowd, measured=rows))

    assert finding.message.startswith("its ear_tip_right would need an image")
