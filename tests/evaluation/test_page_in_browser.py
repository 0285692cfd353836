"""What the report's page does in a real browser."""

import io
from itertools import product

import numpy as np
import pytest
from PIL import Image

from featurelib.evaluation import ReportImage, WorstObject, page
from featurelib.geometry import LandmarkSet
from tests.evaluation.test_page import NAN, made

SET = LandmarkSet((("ear_tip_left", "ear_tip_right"),), midline=("nose_tip", "a landmark with a long name"))
SIZE = 128


@pytest.fixture(scope="module")
def tab(chromium):
    """The page of a set, whose worst landmark lies in the corners and on the edges of the images."""
    report, errors, _ = made(("orthographic",), ("refined", "template"), landmarks=SET)
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.set_content(page(report, SET, errors, [in_corners()]))
    tab.evaluate("() => document.querySelectorAll('.shot img').forEach(image => { image.loading = 'eager'; })")
    tab.wait_for_function("[...document.querySelectorAll('.shot img')].every(image => image.naturalWidth)")
    yield tab
    context.close()


def in_corners() -> WorstObject:
    """An object whose last landmark is the worst; each image has it at another place."""
    file = io.BytesIO()
    Image.new("RGB", (SIZE, SIZE), "grey").save(file, "PNG")
    images = []
    for view, place in enumerate(product((0.02, 0.5, 0.98), repeat=2)):
        xy = np.full((4, 2), NAN)
        xy[3] = place
        images.append(ReportImage(file.getvalue(), view, 0.0, xy, xy))
    return WorstObject("head", "orthographic", SET, np.array([0.1, 0.2, 0.3, 9.0]), tuple(images))


def values(tab, column: int) -> list[str]:
    """The sort keys of a column of the table of landmarks, in the order of its rows."""
    return tab.evaluate(
        "column => [...document.querySelector('table.sortable').tBodies[0].rows]"
        ".map(row => row.cells[column].dataset.value)",
        column,
    )


@pytest.mark.parametrize("column", [1, 2])
def test_a_click_sorts_the_landmarks(tab, column):
    """By number, ascending at first; a second click reverses the order."""
    heading = tab.locator("table.sortable").first.locator("thead th").nth(column)

    heading.click()
    rising = [float(value) for value in values(tab, column)]
    assert rising == sorted(rising)
    assert heading.get_attribute("aria-sort") == "ascending"

    heading.click()
    assert [float(value) for value in values(tab, column)] == rising[::-1]
    assert heading.get_attribute("aria-sort") == "descending"


def test_names_are_sorted_as_text(tab):
    """The set's names, in alphabetical order."""
    tab.locator("table.sortable").first.locator("thead th").first.click()

    assert values(tab, 0) == sorted(SET.names)


def test_no_image_cuts_the_name_of_its_landmark(tab):
    """Wherever the landmark is; nine whole images and nine crops."""
    boxes = tab.evaluate(
        "() => [...document.querySelectorAll('.shot .overlay')].map(image => ["
        "...[...image.querySelectorAll('text')].filter(text => text.textContent.startsWith('a landmark')), image]"
        ".map(element => { const {left, top, right, bottom} = element.getBoundingClientRect();"
        " return [left, top, right, bottom]; }))"
    )

    assert len(boxes) == 18
    for name, image in boxes:
        assert name[0] >= image[0] - 1
        assert name[1] >= image[1] - 1
        assert name[2] <= image[2] + 1
        assert name[3] <= image[3] + 1
