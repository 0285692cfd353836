import base64
import io
import math

import numpy as np
import pytest
from PIL import Image

from featurelib.evaluation.worst import ReportImage, WorstObject, card, views_to_show, worst_rows
from featurelib.geometry import DEFAULT_RIG, Rig

NAN = float("nan")
SIZE = 400


def png(size: int = SIZE) -> bytes:
    """A square image whose grey says the column."""
    file = io.BytesIO()
    Image.fromarray(np.tile(np.linspace(0, 255, size).astype(np.uint8), (size, 1))).save(file, "PNG")
    return file.getvalue()


def drawn(parsed, found, true, error_mm=(1.0, 3.0), size=SIZE, frame_mm=None):
    """The whole image and the crop, as elements."""
    image = ReportImage(png(size), 2, -45.0, np.array(found, float), np.array(true, float))
    worst = WorstObject("head-1", "orthographic", np.array(error_mm), (image,))
    return parsed(card(worst, frame_mm)).all("div", "shot")


def decoded(shot) -> Image.Image:
    """The image that an element holds."""
    kind, content = shot.all("img")[0].attributes["src"].split(",")
    assert kind == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def places(shot) -> tuple[list[list[float]], list[list[float]]]:
    """Where the crosses (found) and the rings (true) are, in the overlay's own units."""
    crosses = []
    for cross in shot.all("path", "found"):
        x, y, width, _ = (float(v) for v in cross.attributes["d"][1:].replace("l", " ").split("m")[0].split())
        crosses.append([x + width / 2, y + width / 2])
    return crosses, [[float(r.attributes["cx"]), float(r.attributes["cy"])] for r in shot.all("circle", "true")]


def test_the_worst_objects_come_first():
    """By the larger error of the two landmarks; half an answer counts, none cannot be shown."""
    errors = np.array([[1, 2], [9, 0], [NAN, NAN], [NAN, 5], [3, 3]])

    assert worst_rows(errors, 3) == [1, 3, 4]
    assert worst_rows(errors, 99) == [1, 3, 4, 0]
    assert worst_rows(np.empty((0, 2))) == []


def test_views_that_see_a_side_are_shown():
    """Straight at it, half way and from the front, mirrored for the other side; what there is of a smaller rig."""
    assert views_to_show(DEFAULT_RIG, "left") == [8, 6, 4]
    assert views_to_show(DEFAULT_RIG, "right") == [0, 2, 4]
    assert views_to_show(Rig.evenly(1, 0.0), "right") == [0]
    assert views_to_show(Rig.evenly(2, 30.0), "left") == [1]


def test_dots_are_at_the_right_pixel(parsed):
    """In both images a mark lies at xy times the image's size, and the overlay shows the same part of it."""
    found, true = [[0.25, 0.5], [0.75, 0.52]], [[0.26, 0.5], [0.78, 0.50]]

    whole, near = drawn(parsed, found, true)

    for shot in (whole, near):
        crosses, rings = places(shot)
        np.testing.assert_allclose(crosses, np.array(found) * SIZE, atol=0.02)
        np.testing.assert_allclose(rings, np.array(true) * SIZE, atol=0.02)
    assert whole.all("svg")[0].attributes["viewbox"] == f"0 0 {SIZE} {SIZE}"
    left, top, width, height = (float(v) for v in near.all("svg")[0].attributes["viewbox"].split())
    assert decoded(near).size == (width, height)
    pixels = np.asarray(Image.open(io.BytesIO(png())))[int(top) : int(top + height), int(left) : int(left + width)]
    np.testing.assert_array_equal(np.asarray(decoded(near)), pixels)


def test_the_close_up_shows_the_worse_landmark(parsed):
    """The one whose error in mm is larger, found and true place, in the middle; wider where they are far apart."""
    found, true = [[0.25, 0.5], [0.70, 0.5]], [[0.26, 0.5], [0.80, 0.5]]

    windows = [
        [float(v) for v in drawn(parsed, found, true, error)[1].all("svg")[0].attributes["viewbox"].split()]
        for error in ((3.0, 1.0), (1.0, 3.0), (NAN, 3.0))
    ]

    centres = [(left + width / 2, top + height / 2) for left, top, width, height in windows]
    np.testing.assert_allclose(centres, [(0.255 * SIZE, 200), (0.75 * SIZE, 200), (0.75 * SIZE, 200)], atol=0.51)
    assert [window[2] for window in windows] == [36, 4 * 40, 4 * 40]


@pytest.mark.parametrize("found", [[[0.0, 1.0], [5.0, -3.0]], [[NAN, NAN], [NAN, NAN]], [[NAN, NAN], [0.5, 0.5]]])
def test_a_close_up_stays_within_the_picture(parsed, found):
    """Positions at the edge, far outside or unknown still give a part of the image."""
    _, near = drawn(parsed, found, [[0.0, 1.0], [0.9, 0.1]])

    left, top, width, height = (float(v) for v in near.all("svg")[0].attributes["viewbox"].split())
    assert 0 <= left <= left + width <= SIZE
    assert 0 <= top <= top + height <= SIZE
    crosses, rings = places(near)
    assert len(rings) == 2
    assert len(crosses) == np.isfinite(found).all(axis=1).sum()


def test_one_position_is_the_near_landmark(parsed):
    """A detector that names no side has one cross and one ring, without a letter."""
    whole, _ = drawn(parsed, [0.5, 0.5], [0.5, 0.25])

    np.testing.assert_allclose(places(whole), [[[200, 200]], [[200, 100]]], atol=0.02)
    assert whole.all("text", "side") == []


def test_found_and_true_differ_in_shape_and_colour(parsed):
    """A cross is found, a ring is true, each with a class of its own and a pale shadow below it."""
    whole, _ = drawn(parsed, [[0.3, 0.5], [0.7, 0.5]], [[0.3, 0.4], [0.7, 0.4]])

    assert {(e.name, e.attributes["class"]) for name in ("path", "circle") for e in whole.all(name)} == {
        ("path", "halo"),
        ("path", "found"),
        ("circle", "halo"),
        ("circle", "true"),
    }
    assert [text.text for text in whole.all("text", "side")] == ["L", "R"]


@pytest.mark.parametrize(("size", "width"), [(1024, 256), (256, 256), (64, 64)])
def test_whole_pictures_are_small(parsed, size, width):
    """They are made smaller than what they were rendered as, never larger."""
    whole, _ = drawn(parsed, [0.5, 0.5], [0.5, 0.5], size=size)

    assert decoded(whole).size == (width, width)
    assert whole.all("svg")[0].attributes["viewbox"] == f"0 0 {size} {size}"


def test_the_scale_bar_is_as_long_as_it_says(parsed):
    """A 400 mm wide image of 400 px has a bar of 10 px for its 10 mm."""
    _, near = drawn(parsed, [0.5, 0.5], [0.5, 0.5], frame_mm=400.0)

    [bar], [text] = near.all("line", "bar"), near.all("text", "side")
    length = float(bar.attributes["x2"]) - float(bar.attributes["x1"])
    assert text.text == f"{math.floor(length + 0.01)} mm" == "10 mm"


def test_pictures_are_said_in_words(parsed):
    """The first says what and from where, the second how far apart the marks are."""
    whole, near = drawn(parsed, [[0.25, 0.5], [NAN, NAN]], [[0.26, 0.5], [0.5, 0.5]])

    assert whole.all("img")[0].attributes["alt"].startswith("head-1 from azimuth -45 degrees")
    assert near.all("img")[0].attributes["alt"].endswith("apart by: left 4.0 pixels.")
