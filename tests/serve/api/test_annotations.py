"""Labels over HTTP: responses in the object frame, files in the source frame and unit, no lost update."""

import asyncio
import csv
import json

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from featurelib.datasets.alignment_table import write_rotations
from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.synthetic import LANDMARKS, write_dataset
from featurelib.geometry import apply
from serve.api.annotations import add_labelling
from serve.api.errors import add_error_handlers

MOVED_MM = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])


def row_of(dataset, object_id):
    """An object's coordinates (2, 3) in landmarks.csv."""
    with (dataset / "landmarks.csv").open(newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["object_id"] == object_id)
    return np.array([float(row[f"{side}_{axis}"]) for side in ("left", "right") for axis in "xyz"]).reshape(2, 3)


def label_of(client, object_id):
    """The server's label, and the pair (2, 3) in it."""
    label = client.get(f"/labels/{object_id}").json()
    return label, np.array([label["left_mm"], label["right_mm"]])


def as_body(landmarks_mm, version):
    """The JSON of PUT /labels/{object_id}."""
    return {"left_mm": landmarks_mm[0].tolist(), "right_mm": landmarks_mm[1].tolist(), "version": version}


def test_a_response_has_the_object_frame(client, dataset):
    """Coordinates in inches and other axes are returned aligned, in mm."""
    _, landmarks_mm = label_of(client, "body-00004")
    object_from_source = open_dataset(str(dataset)).object_from_source

    np.testing.assert_allclose(apply(object_from_source, row_of(dataset, "body-00004")), landmarks_mm, atol=1e-9)


def test_a_label_is_saved_in_the_source_frame(client, dataset):
    """Aligned coordinates are written in the mesh file's frame, and read back equal."""
    label, landmarks_mm = label_of(client, "body-00005")
    answer = client.put("/labels/body-00005", json=as_body(landmarks_mm + MOVED_MM, label["version"]))
    object_from_source = open_dataset(str(dataset)).object_from_source
    again, saved_mm = label_of(client, "body-00005")

    assert (answer.status_code, answer.json()) == (200, again)
    np.testing.assert_allclose(saved_mm, landmarks_mm + MOVED_MM, atol=1e-5)
    np.testing.assert_allclose(apply(object_from_source, row_of(dataset, "body-00005")), saved_mm, atol=1e-9)


def test_a_saved_label_has_the_inverse_of_the_objects_own_rotation(tmp_path):
    """A rotated object's label is returned in the object frame, and written in its own file's frame."""
    write_dataset(tmp_path / "bodies", 2)
    (tmp_path / "bodies" / "alignment.csv").write_bytes(write_rotations({"body-00001": (0.5, 0.5, 0.5, 0.5)}))
    dataset, web = open_dataset(str(tmp_path / "bodies"), labelled=False), FastAPI()
    add_labelling(web, dataset)

    async def move() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://here") as here:
            label = (await here.get("/labels/body-00001")).json()
            landmarks_mm = np.array([label["left_mm"], label["right_mm"]])
            return await here.put("/labels/body-00001", json=as_body(landmarks_mm + MOVED_MM, label["version"]))

    before = row_of(tmp_path / "bodies", "body-00001")
    saved = asyncio.run(move()).json()
    to_object = dataset.object_from_source_of(dataset.files["body-00001"].rotation_wxyz)

    assert not np.allclose(to_object, dataset.object_from_source)
    written = apply(to_object, row_of(tmp_path / "bodies", "body-00001"))
    np.testing.assert_allclose(written, [saved["left_mm"], saved["right_mm"]], atol=1e-9)
    np.testing.assert_allclose(written, apply(to_object, before) + MOVED_MM, atol=1e-5)


def test_the_second_save_of_one_version_conflicts(client, dataset):
    """It gets 409 in the form of all errors, and the first save stays."""
    label, landmarks_mm = label_of(client, "body-00006")
    first = client.put("/labels/body-00006", json=as_body(landmarks_mm + 1, label["version"]))
    second = client.put("/labels/body-00006", json=as_body(landmarks_mm + 2, label["version"]))

    assert (first.status_code, second.status_code) == (200, 409)
    assert second.json()["error"]["code"] == "conflict"
    np.testing.assert_allclose(label_of(client, "body-00006")[1], landmarks_mm + 1, atol=1e-5)


def test_the_dataset_is_listed_in_pages(client):
    """Each mesh is listed once, with whether it has a label."""
    first = client.get("/labels", params={"limit": 5}).json()
    rest = client.get("/labels", params={"offset": 5}).json()
    ids = [one["object_id"] for one in first["objects"] + rest["objects"]]

    assert [f"body-{i:05d}" for i in range(14)] == ids
    assert {(True, 2)} == {(one["labelled"], one["num_labelled"]) for one in first["objects"]}


@pytest.mark.parametrize(
    ("object_id", "change", "status"),
    [
        ("nobody", {}, 404),
        ("..%2Fdataset", {}, 404),
        ("body-00001", {"left_mm": [1, 2]}, 422),
        ("body-00001", {"left_mm": [1, 2, "NaN"]}, 422),
        ("body-00001", {"left_mm": [1, 2, 1e999]}, 422),
        ("body-00001", {"more": 1}, 422),
        ("body-00001", {"version": "0"}, 409),
    ],
)
def test_invalid_labels_are_rejected(client, dataset, object_id, change, status):
    """Nothing is written for an unknown object, for invalid numbers, or over an unknown version."""
    before = (dataset / "landmarks.csv").read_bytes()
    body = {"left_mm": [0, 0, 0], "right_mm": [0, 0, 0], "version": "none", **change}
    headers = {"content-type": "application/json"}
    answer = client.put(f"/labels/{object_id}", content=json.dumps(body), headers=headers)

    assert answer.status_code == status, answer.text
    assert str(dataset) not in answer.text
    assert before == (dataset / "landmarks.csv").read_bytes()


@pytest.fixture
def set_client(tmp_path):
    """Calls of the labelling routes of two bodies with a mixed set; the second has no labels."""
    write_dataset(tmp_path / "bodies", 2, landmarks=LANDMARKS)
    table = tmp_path / "bodies" / "landmarks.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(line for line in lines if not line.startswith("body-00001")) + "\n")
    web = FastAPI()
    add_error_handlers(web, [])
    web.add_middleware(RequestIds)
    add_labelling(web, open_dataset(str(tmp_path / "bodies"), labelled=False))

    def call(method, path, **arguments):
        async def send():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://here") as here:
                return await here.request(method, path, **arguments)

        return asyncio.run(send())

    return call


class RequestIds:
    """ASGI: gives each request an id, as the middleware does."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        scope.setdefault("state", {})["request_id"] = "one"
        await self.app(scope, receive, send)


def test_some_landmarks_are_saved_by_name(set_client):
    """The others keep their labels; a landmark can be absent, and its label can be removed."""
    label = set_client("GET", "/labels/body-00000").json()
    points = {"nose_tip": {"xyz": [1, 2, 3]}, "chin": "absent", "eye_corner_left": None}
    saved = set_client("PUT", "/labels/body-00000", json={"points": points, "version": label["version"]}).json()
    listed = set_client("GET", "/labels").json()["objects"]

    assert set_client("GET", "/labels/body-00000").json() == saved
    assert list(saved["points"]) == list(LANDMARKS.names)
    np.testing.assert_allclose(saved["points"].pop("nose_tip")["xyz"], [1, 2, 3], atol=1e-6)
    kept = {name: label["points"][name] for name in ("ear_tip_left", "ear_tip_right", "eye_corner_right")}
    assert saved["points"] == {**kept, "chin": "absent", "eye_corner_left": None}
    assert [(one["labelled"], one["num_labelled"]) for one in listed] == [(False, 5), (False, 0)]
    assert "left_mm" not in saved


def test_an_object_is_labelled_point_by_point(set_client):
    """Each save needs the version of the one before; the object is labelled once all landmarks are."""
    version = set_client("GET", "/labels/body-00001").json()["version"]
    first = version
    for i, name in enumerate(LANDMARKS.names):
        body = {"points": {name: {"xyz": [i, 0, 0]}}, "version": version}
        version = set_client("PUT", "/labels/body-00001", json=body).json()["version"]
    late = set_client("PUT", "/labels/body-00001", json={"points": {"chin": "absent"}, "version": first})
    listed = set_client("GET", "/labels").json()["objects"][1]

    assert (late.status_code, late.json()["error"]["code"]) == (409, "conflict")
    assert (listed["labelled"], listed["num_labelled"]) == (True, len(LANDMARKS.names))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"points": {"tragus": "absent"}}, "tragus"),
        ({"points": {"chin": "gone"}}, "points"),
        ({"points": {"chin": {"xyz": [1, 2]}}}, "points"),
        ({"points": {"chin": {"xyz": [1, 2, 3], "sure": True}}}, "points"),
        ({"points": {}}, "points"),
        ({"left_mm": [0, 0, 0], "right_mm": [0, 0, 0]}, "left_mm"),
    ],
)
def test_points_that_do_not_fit_the_set_are_rejected(set_client, tmp_path, change, word):
    """An unknown name, another word than absent, or sides for a set of several landmarks: nothing is written."""
    before = (tmp_path / "bodies" / "landmarks.csv").read_bytes()
    version = set_client("GET", "/labels/body-00000").json()["version"]
    answer = set_client("PUT", "/labels/body-00000", json={"version": version, **change})

    assert answer.status_code == 422, answer.text
    assert word in answer.json()["error"]["message"]
    assert before == (tmp_path / "bodies" / "landmarks.csv").read_bytes()


def test_a_label_has_the_source_that_was_sent(set_client):
    """It is null for imported labels and for requests without sources; another word or name is refused."""
    before = set_client("GET", "/labels/body-00000").json()
    points = {"nose_tip": {"xyz": [1, 2, 3]}, "chin": "absent", "ear_tip_left": {"xyz": [4, 5, 6]}}
    sources = {"nose_tip": "proposal", "chin": "corrected"}
    body = {"points": points, "sources": sources, "version": before["version"]}
    refused = [
        set_client("PUT", "/labels/body-00000", json={**body, "sources": wrong})
        for wrong in ({"nose_tip": "guessed"}, {"tragus": "marked"})
    ]
    saved = set_client("PUT", "/labels/body-00000", json=body).json()

    assert [answer.status_code for answer in refused] == [422, 422]
    assert before["sources"] == dict.fromkeys(LANDMARKS.names)
    assert saved["sources"] == {**before["sources"], **sources}
    assert set_client("GET", "/labels/body-00000").json() == saved


def test_a_repeat_leaves_the_label_and_has_a_distance(set_client, tmp_path):
    """Second marks are in the history once, however often they are sent; the list has their median distance."""
    before, table = set_client("GET", "/labels/body-00000").json(), tmp_path / "bodies" / "landmarks.csv"
    content, names = table.read_bytes(), ("nose_tip", "chin")
    points = {
        name: {"xyz": [v + d for v, d in zip(before["points"][name]["xyz"], (0, 3, 4), strict=True)]} for name in names
    }
    for _ in range(2):
        answer = set_client("POST", "/labels/body-00000/repeats", json={"points": points}).json()
    repeats = set_client("GET", "/labels").json()["repeats"]

    assert table.read_bytes() == content
    assert answer["repeats_mm"] == pytest.approx(dict.fromkeys(names, 5.0), abs=1e-5)
    assert {**answer, "repeats_mm": {}} == before
    assert (repeats["n"], repeats["objects"]) == (2, 1)
    assert repeats["distance_mm"] == pytest.approx(5.0, abs=1e-5)
    assert repeats["floor_mm"] == pytest.approx(5 / np.sqrt(2), abs=1e-5)


@pytest.mark.parametrize("points", [{}, {"tragus": {"xyz": [1, 2, 3]}}, {"chin": "absent"}, {"chin": {"xyz": [1, 2]}}])
def test_an_invalid_repeat_is_refused(set_client, tmp_path, points):
    """A repeat has positions of landmarks of the set; nothing else is written."""
    answer = set_client("POST", "/labels/body-00000/repeats", json={"points": points})

    assert answer.status_code == 422
    assert not (tmp_path / "bodies" / "landmarks.history.csv").exists()
    assert (
        set_client("POST", "/labels/nobody/repeats", json={"points": {"chin": {"xyz": [0, 0, 0]}}}).status_code == 404
    )
