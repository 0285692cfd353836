"""Labelling as a loop in a real browser: proposals, one key for an object, corrections, undo, the queue and repeats."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from featurelib.datasets.annotation_history import read_marks
from featurelib.datasets.annotations import read_label
from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.repeats import repeat_distances
from featurelib.datasets.synthetic import LANDMARKS
from featurelib.geometry import apply

NAMES = list(LANDMARKS.names)
K = len(NAMES)
TEN = [f"body-{i:05d}" for i in (8, 5, 12, 4, 13, 9, 6, 11, 7, 10)]
"""The objects without labels, in the order of the queue."""

RIGHT_MM = 7.0
"""A proposal further away than this is corrected; about half of the objects have one."""

CLICK_MM = 2.0
"""What a click may miss: the page shows a millimetre in two pixels or fewer."""

SEEN_MM = 1.0
"""How far from a point the page's ray may meet the surface."""

LABELLED = "body-00000"
SUSPECT = {"object_id": "body-00001", "landmark": "chin", "kind": "misplaced", "reason": "4.2 mm from its place"}

pytestmark = pytest.mark.slow  # two minutes: a pipeline, and a server with its own Ray


def pose(azimuth_deg, elevation_deg):
    """A camera's pose (16 floats, row major) that looks at the origin, as a person who rotates the model."""
    azimuth, elevation = np.radians([azimuth_deg, elevation_deg])
    back = np.array([np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)])
    right = np.array([np.cos(azimuth), 0.0, -np.sin(azimuth)])
    return [*np.c_[right, np.cross(back, right), back, 1000 * back].ravel().tolist(), 0.0, 0.0, 0.0, 1.0]


POSES = [pose(azimuth, elevation) for azimuth in range(0, 360, 30) for elevation in (0, -40, 40)]


class Loop(NamedTuple):
    """A server, its dataset, and the true landmarks (k, 3) by object, mm."""

    address: str
    dataset: str
    truth_mm: dict

    def rows(self):
        """The rows of landmarks.csv."""
        with Path(self.dataset, "landmarks.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def label_mm(self, object_id):
        """A saved label (k, 3), mm."""
        label = read_label(self.dataset, LANDMARKS, object_id)
        return apply(open_dataset(self.dataset, labelled=False).object_from_source, label.points)

    def saved(self, object_id):
        """The sources of the last saves of an object's landmarks."""
        return {m.landmark: m.source for m in read_marks(self.dataset, object_id) if m.event == "saved"}


@pytest.fixture(scope="module")
def loop(set_run, set_dataset, serving, tmp_path_factory):
    """A server of a run whose queue has ten objects, and a copy of its dataset without their labels."""
    folder = tmp_path_factory.mktemp("loop")
    run, dataset = shutil.copytree(set_run, folder / "run"), shutil.copytree(set_dataset, folder / "bodies")
    table = dataset / "landmarks.csv"
    rows = [line for line in table.read_text().splitlines() if line.partition(",")[0] not in TEN]
    table.write_text("\n".join(rows) + "\n")
    queue = {
        "schema": 1,
        "label": [{"object_id": i, "reason": f"far from others, {i}"} for i in TEN],
        "review": [SUSPECT],
    }
    (run / "suggest").mkdir()
    (run / "suggest" / "queue.json").write_text(json.dumps(queue))
    known = open_dataset(str(set_dataset))
    rows = known.objects.to_pylist()
    truth_mm = {row["object_id"]: apply(known.object_from_source, np.reshape(row["landmarks"], (K, 3))) for row in rows}
    with serving("--run", run, "--dataset", dataset, "--label", cwd=folder) as address:
        yield Loop(address, str(dataset), truth_mm)


@pytest.fixture
def open_loop(open_viewer_of, loop, token):
    """A function that opens an object for labelling; no tab may have an error."""
    viewers = []

    def open_one(object_id):
        viewer = open_viewer_of(loop.address, token)
        viewers.append(viewer)
        viewer.open(f"?object={object_id}&label")
        wait_for(viewer, object_id)
        return viewer

    yield open_one
    assert [error for viewer in viewers for error in viewer.errors if "409" not in error] == []


def wait_for(viewer, object_id):
    """Wait until an object, its label and its answers are there."""
    viewer.until(f"viewer.state.subject?.id === '{object_id}' && viewer.labelling.isReady()")


def until_said(viewer, text):
    """Wait until the status has a text."""
    viewer.until(f"document.getElementById('label-status').textContent.includes({text!r})")


def proposals_mm(viewer):
    """The open proposals by name."""
    return {one["title"]: np.array(one["point"]) for one in viewer.ask("() => viewer.labelling.proposals()")}


def number_of(viewer, name):
    """Type the number of a landmark, which chooses it."""
    viewer.tab.keyboard.type(str(NAMES.index(name) + 1))
    viewer.tab.wait_for_timeout(950)  # the next digits are another number
    assert viewer.tab.locator("#label-name").inner_text() == name


def see(viewer, *points_mm):
    """Look at the object from where points of its surface are seen best; return whether all of them are seen."""
    return (
        viewer.ask(
            "([points, poses]) => { const { centre, views } = viewer.state.details;"
            " const look = pose => viewer.model.snap({ ...views[0], object_from_camera: pose.map("
            "  (value, i) => value + (i < 12 && i % 4 === 3 ? centre[i >> 2] : 0)) }, centre);"
            " const missed = pose => { look(pose); return Math.max(...points.map(point => {"
            "  const hit = viewer.model.pick(...viewer.model.pagePosition(point));"
            "  return hit ? Math.hypot(...hit.map((value, i) => value - point[i])) : 1e3; })); };"
            " const best = poses.map(pose => [missed(pose), pose]).reduce((a, b) => (b[0] < a[0] ? b : a));"
            " look(best[1]); return best[0]; }",
            [[[*map(float, point)] for point in points_mm], POSES],
        )
        < SEEN_MM
    )


def drag(viewer, name, from_mm, to_mm):
    """Drag a landmark along the surface."""
    number_of(viewer, name)
    assert see(viewer, from_mm, to_mm)  # the number has moved the camera close to the point
    viewer.tab.mouse.move(*viewer.page_position(from_mm))
    viewer.tab.mouse.down()
    viewer.tab.mouse.move(*viewer.page_position(to_mm), steps=4)
    viewer.tab.mouse.up()


def click(viewer, name, point_mm):
    """Choose a landmark and click a point of the surface."""
    number_of(viewer, name)
    assert see(viewer, point_mm)
    viewer.click_at(point_mm)


def correct(viewer, name, from_mm, to_mm):
    """Drag a landmark to a point, or click the point if no view sees both."""
    if see(viewer, from_mm, to_mm):
        drag(viewer, name, from_mm, to_mm)
    else:
        click(viewer, name, to_mm)


def press(viewer, keys):
    """Press keys, and wait until what they do is done."""
    viewer.tab.keyboard.press(keys)
    viewer.until("document.getElementById('label-status').dataset.state !== 'busy'")


def test_a_proposal_is_no_label_without_a_key(open_loop, loop):
    """Looking and choosing write nothing, and an early key does not accept what is not shown."""
    before, history = loop.rows(), read_marks(loop.dataset)
    viewer = open_loop("body-00002")
    proposed = list(proposals_mm(viewer))
    for key in ("1", ".", ",", "x", "f", "ArrowRight", "g", "g", "j"):
        viewer.tab.keyboard.press(key)
    viewer.tab.keyboard.press("p")  # the next object is not there yet
    wait_for(viewer, "body-00003")

    assert proposed == ["nose_tip"]
    assert (loop.rows(), len(read_marks(loop.dataset))) == (before, len(history))


def test_one_proposal_is_accepted_and_the_last_save_undone(open_loop, loop):
    """O accepts one; Z undoes it; after P and the next object, Z restores the label, which has a proposal again."""
    before = loop.rows()
    viewer = open_loop("body-00002")
    viewer.tab.keyboard.press("o")
    accepted = viewer.ask("() => viewer.labelling.points()")
    viewer.tab.keyboard.press("z")
    undone = viewer.ask("() => viewer.labelling.points()")
    press(viewer, "p")
    viewer.until(f"viewer.state.subject.id === '{TEN[0]}'")
    saved = loop.rows()
    wait_for(viewer, TEN[0])
    press(viewer, "z")
    until_said(viewer, "the last save is undone")

    assert ("nose_tip" in accepted, "nose_tip" in undone) == (True, False)
    assert len(saved) == len(before) + 1
    assert loop.rows() == before
    wait_for(viewer, "body-00002")
    assert list(proposals_mm(viewer)) == ["nose_tip"]
    assert [m.event for m in read_marks(loop.dataset, "body-00002")] == ["saved", "replaced", "saved"]


def test_a_flagged_proposal_needs_a_key_of_its_own(open_viewer_of, loop, token):
    """P leaves it, names it and shows it; Shift and P accept it."""
    before = loop.rows()
    viewer = open_viewer_of(loop.address, token)

    def flag(route):
        response = route.fetch()
        answer = response.json()
        for one in answer["landmarks"]:
            one["accepted"] = False
        route.fulfill(response=response, json=answer)

    viewer.context.route("**/infer/3d", flag)
    viewer.open("?object=body-00002&label")
    wait_for(viewer, "body-00002")
    counted = viewer.tab.locator("#label-count").inner_text()
    press(viewer, "p")
    until_said(viewer, "1 flagged proposal is left")
    after_p = loop.rows()
    shown = viewer.tab.locator("#label-name").inner_text()
    press(viewer, "Shift+P")
    viewer.until(f"viewer.state.subject.id === '{TEN[0]}'")

    assert counted == f"{K - 1} of {K} labelled, 1 proposed, 1 flagged"
    assert shown == "nose_tip"
    assert after_p == before
    assert loop.saved("body-00002") == {"nose_tip": "proposal"}


def test_ten_objects_are_labelled_from_proposals(open_loop, loop):
    """One key for an object whose proposals are right, a drag for each wrong one; each label has its source."""
    viewer = open_loop(TEN[0])
    others = [row for row in loop.rows() if row["object_id"] not in TEN]
    for object_id, following in zip(TEN, [*TEN[1:], None], strict=True):
        wait_for(viewer, object_id)
        shown_mm, truth_mm = proposals_mm(viewer), dict(zip(NAMES, loop.truth_mm[object_id], strict=True))
        flagged = [one for one in viewer.ask("() => viewer.labelling.proposals()") if one["isFlagged"]]
        wrong = [name for name in NAMES if np.linalg.norm(shown_mm[name] - truth_mm[name]) > RIGHT_MM]
        reason = viewer.tab.locator("#label-reason").inner_text()
        assert (list(shown_mm), loop.saved(object_id)) == (NAMES, {})
        for name in wrong:
            correct(viewer, name, shown_mm[name], truth_mm[name])
        press(viewer, "Shift+P" if flagged else "p")
        if following:
            viewer.until(f"viewer.state.subject.id === '{following}'")
        else:
            until_said(viewer, "every object has a label")
        label_mm = dict(zip(NAMES, loop.label_mm(object_id), strict=True))

        assert reason == f"Suggested: far from others, {object_id}"
        assert loop.saved(object_id) == {name: "corrected" if name in wrong else "proposal" for name in NAMES}
        for name in NAMES:
            aim_mm = truth_mm[name] if name in wrong else shown_mm[name]
            assert np.linalg.norm(label_mm[name] - aim_mm) < (CLICK_MM if name in wrong else 1e-3)

    assert [row for row in loop.rows() if row["object_id"] not in TEN] == others
    assert Counter(m.event for m in read_marks(loop.dataset) if m.object_id in TEN) == {"saved": 10 * K}
    assert {"proposal", "corrected"} == {source for i in TEN for source in loop.saved(i).values()}


def test_two_people_label_one_object_at_once(open_loop, loop):
    """What only one of them changed is merged without a question; both are in the table and in the history."""
    object_id = "body-00001"
    first, second = open_loop(object_id), open_loop(object_id)
    moved = {viewer: NAMES[i] for i, viewer in enumerate((first, second), 2)}
    aims_mm = {}
    for viewer, name in moved.items():
        label_mm = loop.label_mm(object_id)[NAMES.index(name)]
        aims_mm[name] = np.array(viewer.ask("p => viewer.model.closest(p.map(v => v + 2)).point", label_mm.tolist()))
        correct(viewer, name, label_mm, aims_mm[name])
    for viewer in moved:
        press(viewer, "s")
        viewer.until("document.getElementById('label-status').textContent === 'saved'")
    label_mm = dict(zip(NAMES, loop.label_mm(object_id), strict=True))

    for name, aim_mm in aims_mm.items():
        assert np.linalg.norm(label_mm[name] - aim_mm) < CLICK_MM
        assert loop.saved(object_id)[name] == "corrected"
    assert second.tab.get_by_role("dialog").count() == 0


def test_the_review_shows_the_suspected_landmark_and_its_reason(open_loop):
    """The suspect is chosen in close-up; then nothing is left."""
    viewer = open_loop("body-00003")
    viewer.tab.locator("#queue").select_option("review")
    viewer.tab.keyboard.press("n")
    wait_for(viewer, SUSPECT["object_id"])
    viewer.until("document.getElementById('label-name').textContent === 'chin'")
    reason = viewer.tab.locator("#label-reason").inner_text()
    viewer.tab.locator("#canvas").focus()
    viewer.tab.keyboard.press("n")
    until_said(viewer, "no label is left to review")

    assert reason == "Look again: chin: misplaced (4.2 mm from its place)"


def test_marks_made_again_are_kept_as_repeats(open_loop, loop):
    """Everything else is hidden meanwhile; the label stays; the distance is in the list, in the bar and in Python."""
    before = loop.rows()
    viewer = open_loop(LABELLED)
    viewer.tab.keyboard.press("g")
    hidden = viewer.marks()
    for name, point_mm in zip(NAMES, loop.label_mm(LABELLED), strict=True):
        aim_mm = viewer.ask("p => viewer.model.closest(p.map(v => v + 1)).point", point_mm.tolist())
        click(viewer, name, aim_mm)
    marked = viewer.marks()
    press(viewer, "s")
    until_said(viewer, "repeat saved")
    found = {one.landmark: one.distance_mm for one in repeat_distances(open_dataset(loop.dataset, labelled=False))}
    states = dict(
        viewer.ask(
            "() => [...document.querySelectorAll('#rows tr')]"
            ".map(row => [row.querySelector('th').textContent, row.querySelector('.state').textContent])"
        )
    )
    viewer.until("!document.getElementById('label-repeats').hidden")
    summary = viewer.tab.locator("#label-repeats").inner_text()

    assert hidden == {}
    assert set(marked) == {f"label-{name}" for name in NAMES}
    assert loop.rows() == before
    assert list(found) == NAMES
    assert all(0 < distance < 5 for distance in found.values())
    assert states == {name: f"labelled, repeat {distance:.2f} mm" for name, distance in found.items()}
    median = np.median([*found.values()])
    assert summary == (
        f"{K} repeated marks of 1 objects: median {median:.2f} mm apart, so {median / np.sqrt(2):.2f} mm for one mark"
    )
