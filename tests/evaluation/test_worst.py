import io

import numpy as np
import pytest
from PIL import Image

from featurelib.evaluation.worst import ReportImage, WorstObject, shots, views_to_show, worst_rows
from featurelib.geometry import DEFAULT_RIG, LandmarkSet, Rig

NAN = float("nan")
SIZE = 400
PAIR = LandmarkSet.single_pair("ear")
MIXED = LandmarkSet((("eye_left", "eye_right"), ("ear_left", "ear_right")), midline=("nose",), unpaired=("scar",))


def png(size: int = SIZE) -> bytes:
    """A square image whose grey is the column."""
    file = io.BytesIO()
    Image.fromarray(np.tile(np.linspace(0, 255, size).astype(np.uint8), (size, 1))).save(file, "PNG")
    return file.getvalue()


def shown(found, true, error_mm=(1.0, 3.0), size=SIZE, frame_mm=None, landmarks=PAIR):
    """The whole image and the crop."""
    image = ReportImage(png(size), 2, -45.0, np.array(found, float), np.array(true, float))
    worst = WorstObject("head-1", "orthographic", landmarks, np.array(error_mm), (image,))
    return shots(worst, image, frame_mm)


def decoded(shot) -> Image.Image:
    return Image.open(io.BytesIO(shot.png))


def test_the_worst_objects_come_first():
    """By the larger error of the two landmarks; half an answer counts, none cannot be shown."""
    errors = np.array([[1, 2], [9, 0], [NAN, NAN], [NAN, 5], [3, 3]])

    assert worst_rows(errors, 3) == [1, 3, 4]
    assert worst_rows(errors, 99) == [1, 3, 4, 0]
    assert worst_rows(np.empty((0, 2))) == []


def test_views_that_see_a_side_are_shown():
    """The one that faces it, the median one and the front, mirrored for the other side; fewer of a smaller rig."""
    assert views_to_show(DEFAULT_RIG, "left") == [8, 6, 4]
    assert views_to_show(DEFAULT_RIG, "right") == [0, 2, 4]
    assert views_to_show(Rig.evenly(1, 0.0), "right") == [0]
    assert views_to_show(Rig.evenly(2, 30.0), "left") == [1]
    assert views_to_show(DEFAULT_RIG, None) == [0, 4, 8]


def test_marks_are_at_the_right_pixel():
    """A mark is at xy times the image's size, and the crop has the pixels of its window."""
    found, true = [[0.25, 0.5], [0.75, 0.52]], [[0.26, 0.5], [0.78, 0.50]]

    whole, near = shown(found, true)

    assert whole.marks == near.marks
    assert [(mark.role, mark.label) for mark in whole.marks] == [("left", "L"), ("right", "R")]
    np.testing.assert_allclose([mark.found for mark in whole.marks], np.array(found) * SIZE, atol=0.02)
    np.testing.assert_allclose([mark.true for mark in whole.marks], np.array(true) * SIZE, atol=0.02)
    assert whole.window == (0, 0, SIZE, SIZE)
    left, top, width, height = near.window
    assert decoded(near).size == (width, height)
    pixels = np.asarray(Image.open(io.BytesIO(png())))[top : top + height, left : left + width]
    np.testing.assert_array_equal(np.asarray(decoded(near)), pixels)


@pytest.mark.parametrize(
    ("error_mm", "centre", "width"),
    [((3.0, 1.0), 0.255 * SIZE, 36), ((1.0, 3.0), 0.75 * SIZE, 4 * 40), ((NAN, 3.0), 0.75 * SIZE, 4 * 40)],
)
def test_the_crop_shows_the_worse_landmark(error_mm, centre, width):
    """Both positions of the landmark with the larger error are around the middle; the crop is wide if they are far."""
    _, near = shown([[0.25, 0.5], [0.70, 0.5]], [[0.26, 0.5], [0.80, 0.5]], error_mm)

    left, top, *size = near.window
    assert size == [width, width]
    np.testing.assert_allclose((left + width / 2, top + width / 2), (centre, SIZE / 2), atol=0.51)


@pytest.mark.parametrize("found", [[[0.0, 1.0], [5.0, -3.0]], [[NAN, NAN], [NAN, NAN]], [[NAN, NAN], [0.5, 0.5]]])
def test_a_crop_stays_within_the_image(found):
    """Positions at the edge, far outside or unknown still give a part of the image."""
    _, near = shown(found, [[0.0, 1.0], [0.9, 0.1]])

    left, top, width, height = near.window
    assert 0 <= left <= left + width <= SIZE
    assert 0 <= top <= top + height <= SIZE
    assert all(mark.true for mark in near.marks)
    assert sum(mark.found is not None for mark in near.marks) == np.isfinite(found).all(axis=1).sum()


@pytest.mark.parametrize(("size", "width"), [(1024, 256), (256, 256), (64, 64)])
def test_whole_images_are_downsized(size, width):
    """They are made smaller than what they were rendered as, never larger; marks keep the pixels of the original."""
    whole, _ = shown(*[[[0.5, 0.5], [0.6, 0.5]]] * 2, size=size)

    assert decoded(whole).size == (width, width)
    assert whole.window == (0, 0, size, size)


def test_the_scale_bar_has_a_round_length():
    """A 400 mm wide image of 400 px has a bar of 10 px for its 10 mm; without a width in mm there is none."""
    at = [[0.5, 0.5], [0.6, 0.5]]

    whole, near = shown(at, at, frame_mm=400.0)

    assert (whole.bar, near.bar) == (None, (10, 10))
    assert shown(at, at)[1].bar is None


def test_images_have_a_description():
    """That of the first names the object and the view, that of the second the distances."""
    whole, near = shown([[0.25, 0.5], [NAN, NAN]], [[0.26, 0.5], [0.5, 0.5]])

    assert whole.alt.startswith("head-1 from azimuth -45 degrees")
    assert near.alt.endswith("true position: left 4.0 pixels, right unknown.")


def test_all_landmarks_of_a_set_are_drawn_and_the_worst_is_named():
    """The worst is on top and has its name; unknown positions have no mark, and texts name the worst three."""
    true = np.linspace(0.2, 0.8, 6)[:, None] * [1, 1]
    found = true + 0.01
    true[1], found[1], found[5] = NAN, NAN, NAN
    errors = np.array([1, NAN, 9, 2, 3, NAN])

    whole, near = shown(found, true, errors, landmarks=MIXED)
    marks = {mark.role: mark for mark in whole.marks}

    assert len(whole.marks) == 5
    assert [mark.label for mark in whole.marks] == ["", "", "", "", "ear_left"]
    assert {"left", "right", "midline", "unpaired"} == set(marks)
    assert (marks["unpaired"].found, marks["midline"].found is None) == (None, False)
    np.testing.assert_allclose(near.window.left + near.window.width / 2, SIZE * (true[2, 0] + 0.005), atol=0.51)
    assert "ear_left 5.7 pixels, nose 5.7 pixels, ear_right 5.7 pixels." in near.alt
    object_ = WorstObject("head-1", "orthographic", MIXED, errors, ())
    assert object_.errors == "ear_left 9.00 mm, nose 3.00 mm, ear_right 2.00 mm; median of 4: 2.50 mm"
