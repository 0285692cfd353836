"""The HTTP responses of a run, over real HTTP from a real Ray Serve."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from featurelib.datasets.shards import open_renders
from featurelib.geometry import MM_PER_UNIT, Alignment, apply
from featurelib.models.versions import ModelVersions


def test_it_is_healthy_once_it_responds(client):
    """Models are loaded and warm before `start` returns."""
    assert client.get("/healthz").status_code == 200


def test_objects_come_in_pages(client):
    """Each object of the run is listed once, in order."""
    first = client.get("/objects", params={"limit": 5}).json()
    rest = client.get("/objects", params={"offset": 5}).json()

    assert 14 == first["total"] == rest["total"]
    assert [f"body-{i:05d}" for i in range(14)] == first["objects"] + rest["objects"]


def test_infer_finds_a_position_in_one_view(client, run):
    """For one pair the response has the near one, its side and the model; the exact front view has no side."""
    side_view = client.post("/infer", json={"object_id": "body-00002", "view": 0}).json()
    front = client.post("/infer", json={"object_id": "body-00002", "view": 4}).json()

    assert side_view["side"] == "right"
    assert front["side"] is None
    np.testing.assert_allclose(np.multiply(side_view["xy"], 128), side_view["px"], rtol=1e-5)
    assert len(side_view["model"]) == 64
    assert side_view["sigma_px"] > 0


def test_infer_3d_equals_the_report(client, run):
    """HTTP and the report agree to 0.01 mm, in each method."""
    rows = [line.split(",") for line in (run / "report" / "per_object.csv").read_text().splitlines()[1:]]
    compared = 0
    for object_id, projection, method, landmark, *numbers in rows:
        if method in ("mlp", "triangulation", "robust_all", "template", "refined"):
            question = {"object_id": object_id, "projection": projection, "method": method}
            answer = client.post("/infer/3d", json=question).json()
            found = {one["name"]: one for one in answer["landmarks"]}
            np.testing.assert_allclose(found[landmark]["xyz"], [float(n) for n in numbers[:3]], atol=0.01)
            compared += 1

    assert compared == 2 * 2 * 5


def test_infer_3d_names_its_frame_and_its_parts(client, run):
    """The response has unit, frame, method, models, nine views and stage times; the method is the run's own choice."""
    answer = client.post("/infer/3d", json={"object_id": "body-00003"}).json()
    chosen = json.loads((run / "report" / "report.json").read_text())["lifter"]["orthographic"]["chosen"]

    assert ("mm", "object", chosen) == (answer["unit"], answer["frame"], answer["method"])
    assert ModelVersions.of(str(run), "orthographic").to_dict() == answer["models"]
    assert answer["model"] == answer["models"]["detector"]
    assert list(range(9)) == [view["view"] for view in answer["views"]]
    assert {"read", "detect", "register", "lift", "total"} == set(answer["timings_ms"])
    assert answer["left"]["sigma_mm"] > 0
    assert answer["accepted"] == (answer["reason"] == "")


def test_the_server_aligns_as_the_renderer_did(client, run, bodies):
    """The alignment in a response maps the dataset's coordinates to the landmarks in it."""
    answer = client.get("/objects/body-00007").json()
    row = next(line for line in (bodies / "landmarks.csv").read_text().splitlines() if line.startswith("body-00007"))
    source = np.array([float(value) for value in row.split(",")[1:7]]).reshape(2, 3)
    unit = answer["alignment"].pop("unit")
    object_from_source = Alignment.from_dict(answer["alignment"]).object_from_source(unit)

    assert unit in MM_PER_UNIT
    np.testing.assert_allclose(apply(object_from_source, source), [answer["left_mm"], answer["right_mm"]], atol=1e-9)


def test_images_are_those_of_the_shards(client, run):
    """The PNG of a view is the rendered one."""
    answer = client.get("/objects/body-00001/views/3.png")

    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).size == (128, 128)
    assert open_renders(str(run), "orthographic").spec.image_size == 128


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "word"),
    [
        ("POST", "/infer", {"object_id": "nobody", "view": 0}, 404, "nobody"),
        ("POST", "/infer", {"object_id": "body-00001", "view": 9}, 404, "view 9"),
        ("POST", "/infer", {"object_id": "body-00001"}, 422, "view"),
        ("POST", "/infer", {"object_id": "body-00001", "view": 0, "projektion": "x"}, 422, "projektion"),
        ("POST", "/infer/3d", {"object_id": "../../etc/passwd"}, 404, "not in this run"),
        ("POST", "/infer/3d", {"object_id": "body-00001", "method": "guess"}, 422, "method"),
        ("GET", "/objects?limit=0", None, 422, "limit"),
        ("GET", "/objects/nobody", None, 404, "nobody"),
        ("GET", "/objects/body-00001/views/12.png", None, 404, "view 12"),
        ("GET", "/nothing", None, 404, "Not Found"),
        ("GET", "/infer", None, 405, "Method Not Allowed"),
    ],
)
def test_errors_are_json_with_a_code_and_a_message(client, method, path, body, status, word):
    """Each error has the documented form and no traceback."""
    answer = client.request(method, path, json=body)

    assert status == answer.status_code
    assert {"code", "message", "request_id"} == set(answer.json()["error"])
    assert answer.headers["x-request-id"] == answer.json()["error"]["request_id"]
    assert word in answer.json()["error"]["message"]
    assert "Traceback" not in answer.text
