"""Labels made in the viewer: the clicked points are written, and no label is lost."""

import csv

import numpy as np

from featurelib.datasets.dataset import open_dataset
from featurelib.geometry import SIDES, apply

FACING = {"left": 8, "right": 0}
"""The view that faces each side."""


def rows_of(dataset):
    """The rows of landmarks.csv, by object."""
    with (dataset / "landmarks.csv").open(newline="") as file:
        return {row["object_id"]: row for row in csv.DictReader(file)}


def saved_mm(dataset, object_id):
    """An object's saved label (2, 3), object frame."""
    row = rows_of(dataset)[object_id]
    source = [[float(row[f"{side}_{axis}"]) for axis in "xyz"] for side in SIDES]
    return apply(open_dataset(str(dataset)).object_from_source, source)


def label_at(viewer, landmarks_mm):
    """Click both sides, each from its own view."""
    for side, point in zip(SIDES, landmarks_mm, strict=True):
        viewer.choose_view(FACING[side])
        viewer.tab.get_by_role("radio", name=side).check()
        viewer.click_at(point)


def save(viewer):
    """Save, and wait until it is done or rejected."""
    viewer.tab.keyboard.press("s")
    viewer.until("document.getElementById('label-status').dataset.state !== 'busy'")


def test_a_click_is_written_where_it_was(open_viewer, dataset, facing_mm):
    """The label is within half a millimetre, in the source frame; other rows stay; the history has the old row."""
    landmarks_mm, before = facing_mm("body-00009"), rows_of(dataset)
    viewer = open_viewer()
    viewer.open("?object=body-00009&label")
    label_at(viewer, landmarks_mm)
    save(viewer)
    after = rows_of(dataset)
    history = (dataset / "landmarks.history.csv").read_text()

    assert np.linalg.norm(saved_mm(dataset, "body-00009") - landmarks_mm, axis=1).max() < 0.5
    assert before.pop("body-00009")["left_x"] in history
    assert after.pop("body-00009")
    assert before == after
    assert viewer.tab.locator("#label-status").inner_text() == "saved"
    assert viewer.errors == []


def test_a_drag_moves_a_point_along_the_surface(open_viewer, dataset, facing_mm):
    """The point follows the pointer and stays on the mesh; the model does not rotate, and nothing is written."""
    before = rows_of(dataset)
    viewer = open_viewer()
    viewer.open("?object=body-00010&label")
    viewer.choose_view(FACING["left"])
    (point, _), pose = facing_mm("body-00010"), "() => viewer.model.camera().position.toArray()"
    viewer.click_at(point)
    x, y = viewer.page_position(point)
    before_drag = viewer.ask(pose)
    viewer.tab.mouse.move(x, y)
    viewer.tab.mouse.down()
    viewer.tab.mouse.move(x + 12, y - 9, steps=3)
    viewer.tab.mouse.up()
    moved = viewer.ask("() => viewer.labelling.points().left")

    np.testing.assert_allclose(viewer.page_position(moved), [x + 12, y - 9], atol=0.5)
    assert viewer.ask("point => viewer.model.closest(point).distance", moved) < 1e-3
    assert before_drag == viewer.ask(pose)
    assert before == rows_of(dataset)


def test_two_users_do_not_overwrite_each_others_label(open_viewer, dataset, facing_mm):
    """The user who saves second sees both labels and chooses one."""
    landmarks_mm = facing_mm("body-00011")
    first, second = open_viewer(), open_viewer()
    for viewer in (first, second):
        viewer.open("?object=body-00011&label")
    label_at(first, landmarks_mm)
    label_at(second, landmarks_mm)
    second.tab.get_by_role("button", name="Use the prediction").click()
    mine_mm = np.array([second.ask("() => viewer.labelling.points()")[side] for side in SIDES])
    save(first)
    second.tab.keyboard.press("s")
    dialog = second.tab.get_by_role("dialog")
    dialog.wait_for()
    text = dialog.inner_text()
    kept_mm = saved_mm(dataset, "body-00011")
    second.tab.get_by_role("button", name="Replace with mine").click()
    second.until("document.getElementById('label-status').textContent === 'saved'")

    assert np.linalg.norm(kept_mm - landmarks_mm, axis=1).max() < 0.5
    assert all(f"{value:.2f}" in text for value in (*kept_mm.ravel(), *mine_mm.ravel()))
    np.testing.assert_allclose(saved_mm(dataset, "body-00011"), mine_mm, atol=1e-4)


def test_the_next_unlabelled_object_comes_next(open_viewer, dataset):
    """N opens the next object without a label, and reports when none is left."""
    table = dataset / "landmarks.csv"
    content = table.read_text()
    header, *lines = content.splitlines()
    table.write_text("\n".join([header, *(line for line in lines if not line.startswith("body-00007"))]) + "\n")
    viewer = open_viewer()
    viewer.open("?object=body-00012&label")
    viewer.tab.keyboard.press("n")
    viewer.until("viewer.state.subject.id === 'body-00007'")
    viewer.settle()
    viewer.tab.get_by_role("button", name="Use the prediction").click()
    save(viewer)
    viewer.tab.keyboard.press("n")
    viewer.tab.get_by_text("every object has a label").wait_for()

    assert np.isfinite(saved_mm(dataset, "body-00007")).all()
    table.write_text(content)
