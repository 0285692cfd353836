import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from featurelib.datasets.shards import decode_png
from featurelib.datasets.synthetic import EAR_TIPS
from featurelib.meshes import Mesh
from featurelib.validation.dataset.drawing import SHEET_PX, draw, draw_mesh
from featurelib.validation.dataset.finding import Finding
from featurelib.validation.dataset.measure import MeasureJob
from featurelib.validation.dataset.sheet import MOST_WITH_FINDINGS, MOST_WITHOUT, chosen, sheet


@pytest.fixture(scope="module")
def ball_drawing():
    """A ball of radius 50 about (7, 0, 0) with landmarks at its left and right ends."""
    import trimesh

    ball = trimesh.creation.icosphere(4, radius=50).apply_translation([7, 0, 0])
    mesh = Mesh.smooth(ball.vertices, ball.faces)
    return draw_mesh(mesh, MeasureJob("ball", "", np.eye(4), EAR_TIPS, np.array([[57.0, 0, 0], [-43.0, 0, 0]])))


def test_three_views_show_the_object_and_its_landmarks(ball_drawing):
    """From its left, the left landmark is in the middle and the right one occluded; in front, left is on the right."""
    from_left, front, from_right = ball_drawing.marks

    assert [mark.is_occluded for mark in from_left] == [False, True]
    assert [mark.is_occluded for mark in from_right] == [True, False]
    assert (from_left[0].x, from_left[0].y) == pytest.approx((0.5, 0.5), abs=1e-6)
    assert front[0].x == pytest.approx(1 - front[1].x)
    assert front[0].x > 0.9
    for png in ball_drawing.pngs:
        pixels = decode_png(png)
        assert pixels.shape == (SHEET_PX, SHEET_PX)
        assert 0.6 < (pixels < 255).mean() < np.pi / 4


def test_an_unreadable_mesh_is_not_drawn(tmp_path):
    """There is no drawing, and no error."""
    assert draw(MeasureJob("a", str(tmp_path / "a.ply"), np.eye(4), EAR_TIPS)) is None


def page(survey, findings, drawings=None) -> str:
    return sheet(survey, findings, chosen(survey, findings), drawings or {})


def test_the_sheet_is_self_contained(clean_survey, ball_drawing):
    """Tags are balanced, images are part of the page, and it makes no requests."""
    ids = [row.object_id for row in clean_survey.measured]
    text = page(clean_survey, [], dict.fromkeys(ids, ball_drawing))

    class Balance(HTMLParser):
        open_tags: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag, attrs):
            if tag not in ("meta",):
                self.open_tags.append(tag)

        def handle_startendtag(self, tag, attrs):
            pass

        def handle_endtag(self, tag):
            assert self.open_tags.pop() == tag

    parser = Balance()
    parser.feed(text)
    assert parser.open_tags == []
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)
    images = re.findall(r"base64,([^\"]+)", text)
    assert len(images) == 3 * len(ids)
    assert base64.b64decode(images[0]) == ball_drawing.pngs[0]


def test_objects_with_findings_come_first(clean_survey):
    """All objects are on the sheet if there are few, and its headings count them."""
    ids = [row.object_id for row in clean_survey.measured]
    text = page(clean_survey, [Finding("unit", "error", ids[9], "too <small>", "look & see")])

    cards = re.findall(r"<h3>(\S+)", text)
    assert cards == [ids[9], *(i for i in ids if i != ids[9])]
    assert "With findings: all 1 objects" in text
    assert f"Without findings: all {len(ids) - 1} objects" in text
    assert "too &lt;small&gt;" in text
    assert "look &amp; see" in text


def test_rules_take_turns_if_many_objects_have_findings(clean_survey):
    """Objects with rare findings are on the sheet, and its heading counts the ones that are not."""
    many = [Finding("frame", "warning", f"x{i}", "cut", "crop") for i in range(5000)]
    rare = [Finding("unit", "error", f"y{i}", "small", "scale") for i in range(3)]

    shown, sample = chosen(clean_survey, [*rare, *many])

    assert len(shown) == MOST_WITH_FINDINGS
    assert {"y0", "y1", "y2"} <= set(shown)
    assert len(sample) == min(MOST_WITHOUT, len(clean_survey.measured))
    assert f"With findings: {MOST_WITH_FINDINGS} of 5003 objects, some of every rule" in page(
        clean_survey, [*rare, *many]
    )
