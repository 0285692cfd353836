"""The viewer of a mixed landmark set: the list, the choice of a landmark, names, outlines, and labelling in order."""

import csv

import numpy as np
import pytest

from featurelib.datasets.synthetic import LANDMARKS

NAMES = list(LANDMARKS.names)
OBJECT, TO_LABEL = "body-00005", "body-00002"

pytestmark = pytest.mark.slow  # two minutes: a pipeline, and a server with its own Ray


@pytest.fixture
def viewer(open_viewer_of, set_address, token):
    """A tab with one object of the set."""
    viewer = open_viewer_of(set_address, token)
    viewer.open(f"?object={OBJECT}")
    yield viewer
    assert viewer.errors == []


def rows(viewer):
    """The visible rows of the list: name and state."""
    return viewer.ask(
        "() => [...document.querySelectorAll('#rows tr')].filter(row => !row.hidden)"
        ".map(row => [row.querySelector('th').textContent, row.querySelector('.state').textContent])"
    )


def test_every_landmark_is_listed_and_drawn(viewer, set_client):
    """List, model and image have all landmarks; positions are the API's; outlines are one object of lines."""
    answer = set_client.post("/infer/3d", json={"object_id": OBJECT}).json()
    marks = viewer.marks()

    assert [name for name, _ in rows(viewer)] == NAMES
    for one in answer["landmarks"]:
        np.testing.assert_allclose(marks[f"predicted-{one['name']}"], one["xyz"], atol=1e-3)
    assert {f"{kind}-{name}" for kind in ("predicted", "true") for name in NAMES} == set(marks)
    assert viewer.tab.locator("#dots .dot").count() == 2 * len(NAMES)
    lines = sum(len(outline) - 1 for outline in LANDMARKS.outlines)
    assert (
        viewer.ask("() => viewer.model.scene.getObjectByName('outlines').geometry.attributes.position.count")
        == 2 * lines
    )
    assert viewer.tab.locator("#dots .outline").count() == 1


def test_midline_landmarks_have_their_own_colour(viewer):
    """Left, right and midline dots differ."""
    colours = viewer.ask(
        "() => [...document.querySelectorAll('#dots .dot.predicted')]"
        ".map(dot => [dot.dataset.side, getComputedStyle(dot).fill])"
    )

    assert {side for side, _ in colours} == {"left", "right", "midline"}
    assert len({fill for _, fill in colours}) == 3


def test_the_filter_takes_names_and_states(viewer):
    """T focuses the field; words match names and states, and the count is shown."""
    state = rows(viewer)[0][1]
    viewer.tab.keyboard.press("t")
    viewer.tab.keyboard.type("eye left")
    by_name = rows(viewer)
    viewer.tab.locator("#filter").fill(state)

    assert [name for name, _ in by_name] == ["eye_corner_left"]
    assert {of for _, of in rows(viewer)} == {state}
    assert viewer.tab.locator("#shown").inner_text() == f"{len(rows(viewer))} of {len(NAMES)} landmarks"


def test_a_row_shows_its_landmark_in_close_up(viewer):
    """The point is in the centre of the model; only its rays are left; F and Esc go back."""
    viewer.tab.locator("#rows tr").nth(NAMES.index("chin")).click()
    box = viewer.tab.locator("#canvas").bounding_box()
    centre = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    rays = "() => viewer.model.scene.getObjectByName('rays').geometry.attributes.position.count / 2"
    focused = viewer.ask(rays)
    at = viewer.page_position(viewer.marks()["predicted-chin"])
    marked = viewer.tab.locator("#dots .dot.focus").count()
    viewer.tab.keyboard.press("f")
    viewer.tab.keyboard.press("Escape")

    np.testing.assert_allclose(at, centre, atol=1)
    assert (focused, marked) == (9, 2)
    assert viewer.ask(rays) > focused
    assert viewer.tab.locator("#dots .dot.focus").count() == 0


def test_the_pointer_on_a_dot_shows_its_name(viewer):
    """With X-ray, an occluded dot has its name, too; beside the dots there is none."""
    viewer.tab.keyboard.press("x")
    viewer.tab.mouse.move(*viewer.page_position(viewer.marks()["true-nose_tip"]))
    viewer.until("!document.getElementById('tip').hidden")
    text = viewer.tab.locator("#tip").inner_text()
    box = viewer.tab.locator("#canvas").bounding_box()
    viewer.tab.mouse.move(box["x"] + 3, box["y"] + 3)
    viewer.until("document.getElementById('tip').hidden")

    assert any(name in text for name in NAMES)


def test_landmarks_are_labelled_in_order(viewer, set_dataset):
    """The next one without a label is named with its definition; skip, absent, undo and save do what they say."""
    viewer.open(f"?object={TO_LABEL}&label")
    viewer.until("document.getElementById('label-status').dataset.state === 'done'")
    name = viewer.tab.locator("#label-name")
    first, definition = name.inner_text(), viewer.tab.locator("#label-definition").inner_text()
    viewer.tab.keyboard.press(".")
    skipped = name.inner_text()
    viewer.tab.keyboard.press(",")
    viewer.tab.keyboard.press("a")
    absent = viewer.ask("() => viewer.labelling.points()")
    viewer.tab.keyboard.press("z")
    undone = viewer.ask("() => viewer.labelling.points()")
    box = viewer.tab.locator("#canvas").bounding_box()
    viewer.choose_view(4)
    viewer.tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    placed = viewer.ask("() => viewer.labelling.points()")["nose_tip"]
    viewer.tab.keyboard.press("s")
    viewer.until("document.getElementById('label-status').textContent === 'saved'")
    with (set_dataset / "landmarks.csv").open(newline="") as file:
        saved = {row["landmark"]: row for row in csv.DictReader(file) if row["object_id"] == TO_LABEL}

    assert (first, definition) == ("nose_tip", LANDMARKS.definitions["nose_tip"])
    assert skipped == "chin"
    assert absent["nose_tip"] == "absent"
    assert "nose_tip" not in undone
    assert viewer.ask("point => viewer.model.closest(point).distance", placed) < 1e-3
    np.testing.assert_allclose([float(saved["nose_tip"][axis]) for axis in "xyz"], placed, atol=1e-4)
    assert set(saved) == set(NAMES)
