"""The responses of a run with a mixed landmark set: by name, partly labelled, and never of another set."""

import csv

import numpy as np
import pytest

from featurelib.datasets.synthetic import LANDMARKS
from featurelib.errors import DataError
from serve.__main__ import ServeConfig
from serve.server import app_settings

NAMES = list(LANDMARKS.names)
UNLABELLED, WITHOUT_CHIN = "body-00002", "body-00003"

pytestmark = pytest.mark.slow  # two minutes: a pipeline, and a server with its own Ray


def test_about_has_the_set(set_client):
    """Names, roles, outlines and definitions are the dataset's; only a single pair has a name of its own."""
    about = set_client.get("/about").json()

    assert (about["landmark"], about["landmarks"]["names"]) == (None, NAMES)
    assert about["landmarks"]["midline"] == list(LANDMARKS.midline)
    assert about["landmarks"]["definitions"] == dict(LANDMARKS.definitions)


@pytest.mark.parametrize("view", [0, 4, 8])
def test_an_image_has_all_landmarks(set_client, view):
    """They are in the set's order; of each pair one is near; there are no fields of a single pair."""
    found = set_client.post("/infer", json={"object_id": "body-00005", "view": view}).json()
    near = dict(zip(NAMES, (one["near"] for one in found["landmarks"]), strict=True))

    assert set(found) == {"landmarks", "model", "ms"}
    assert [one["name"] for one in found["landmarks"]] == NAMES
    assert all(near[left] != near[right] for left, right in LANDMARKS.pairs)
    assert all(near[name] for name in LANDMARKS.midline)
    for one in found["landmarks"]:
        np.testing.assert_allclose(np.multiply(one["xy"], 128), one["px"], atol=1e-3)
        assert np.hypot(*one["sigma_xy_px"]) == pytest.approx(one["sigma_px"], abs=1e-3)


def test_infer_3d_equals_the_report(set_client, set_run):
    """HTTP and the report agree on each landmark to 0.01 mm."""
    with (set_run / "report" / "per_object.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] in ("mlp", "triangulation", "template")]
    for object_id, method in {(row["object_id"], row["method"]) for row in rows}:
        answer = set_client.post("/infer/3d", json={"object_id": object_id, "method": method}).json()
        found = {one["name"]: one["xyz"] for one in answer["landmarks"]}
        for row in rows:
            if (row["object_id"], row["method"]) == (object_id, method):
                expected = [float(row[f"{axis}_mm"]) for axis in "xyz"]
                np.testing.assert_allclose(found[row["landmark"]], expected, atol=0.01)

    assert {row["landmark"] for row in rows} == set(NAMES)


def test_the_runs_own_choice_has_a_verdict_for_each_landmark(set_client):
    """The object is accepted if all landmarks are; present ones have a position and an error."""
    answer = set_client.post("/infer/3d", json={"object_id": "body-00005"}).json()

    assert answer["accepted"] == all(one["accepted"] for one in answer["landmarks"]) == (answer["reason"] == "")
    assert "left" not in answer
    for one in answer["landmarks"]:
        assert one["present"] == (one["xyz"] is not None)
        assert np.trace(one["covariance_mm2"]) / 3 == pytest.approx(one["sigma_mm"] ** 2, rel=1e-4)
    for view in answer["views"]:
        assert [one["name"] for one in view["landmarks"]] == NAMES


def test_an_object_has_the_labels_that_are_known(set_client):
    """A landmark without a label is null in space and in each view; an absent one says so."""
    for object_id, name, is_absent in ((UNLABELLED, "nose_tip", False), (WITHOUT_CHIN, "chin", True)):
        found = set_client.get(f"/objects/{object_id}").json()
        unknown = [one["name"] for one in found["landmarks"] if one["xyz"] is None]
        absent = [one["name"] for one in found["landmarks"] if one["absent"]]
        in_views = {one["name"] for view in found["views"] for one in view["landmarks"] if one["xy"] is None}

        assert (unknown, absent, in_views) == ([name], [name] * is_absent, {name})


def test_an_upload_has_all_landmarks(set_client, set_dataset):
    """An uploaded mesh and the stored one have the same registered landmarks."""
    content = (set_dataset / "meshes" / "body-00005.ply").read_bytes()
    sent = set_client.post("/infer/3d", files={"mesh": content}, data={"method": "template"}).json()
    stored = set_client.post("/infer/3d", json={"object_id": "body-00005", "method": "template"}).json()

    points = [[one["xyz"] for one in answer["landmarks"]] for answer in (sent, stored)]
    np.testing.assert_allclose(*points, atol=0.01)


def test_scores_are_by_object_and_by_landmark(set_client, set_run):
    """An object without one label has the score of the others; each landmark has its own."""
    scores = set_client.get("/scores").json()

    assert set(scores["landmarks"]) == set(NAMES)
    assert scores["objects"][UNLABELLED]["error_mm"] > 0
    assert scores["landmarks"]["chin"]["error_mm"] > 0


def test_a_dataset_of_another_set_is_refused(set_run, bodies):
    """The message names the file, how the sets differ, and what to do."""
    with pytest.raises(DataError, match=r"dataset\.json: not the landmark set of the run .*eye_corner_left.*--run"):
        app_settings(ServeConfig(run=str(set_run), dataset=str(bodies)))
