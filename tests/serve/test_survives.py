"""A server under load survives lost replicas, newer models and more requests than it can handle."""

import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
import ray

from featurelib.models.detector.files import detector_uri

REQUEST = {"object_id": "body-00001", "view": 3}


@contextmanager
def requests_meanwhile(client, clients=4):
    """Send requests during the block; yields the list of their statuses, which grows."""
    statuses, ends = [], threading.Event()

    def send():
        while not ends.is_set():
            statuses.append(client.post("/infer", json=REQUEST).status_code)

    with ThreadPoolExecutor(clients) as pool:
        sending = [pool.submit(send) for _ in range(clients)]
        try:
            yield statuses
        finally:
            ends.set()
    for each in sending:
        each.result()


@pytest.mark.parametrize("stage", ["DetectorStage", "LifterStage", "RendererStage"])
def test_a_killed_replica_costs_no_response_of_infer(client, stage):
    """The ingress repeats a call whose replica died; /infer goes on, and does not use the other deployments."""
    actors = ray.util.list_named_actors(all_namespaces=True)
    name, namespace = next((a["name"], a["namespace"]) for a in actors if stage in a["name"])
    with requests_meanwhile(client) as statuses:
        time.sleep(0.5)
        before = len(statuses)
        ray.kill(ray.get_actor(name, namespace=namespace))
        until = time.monotonic() + 90
        while len(statuses) < before + 20 and time.monotonic() < until:
            time.sleep(0.1)

    assert before > 0
    assert set(statuses) == {200}
    assert len(statuses) >= before + 20


@pytest.mark.slow  # a minute: all replicas are replaced while clients send requests
def test_newer_models_replace_the_old_without_a_failure(client, served, settings):
    """During the replacement each response is 200; afterwards each names the new model."""
    from serve.server import reloaded

    file = Path(detector_uri(str(served), "orthographic"), "model.keras")
    old = client.post("/infer", json=REQUEST).json()["model"]
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = b"another file, the same weights"
    with requests_meanwhile(client) as statuses:
        newer = reloaded(settings)
    new = sha256(file.read_bytes()).hexdigest()

    assert newer.version != settings.version
    assert reloaded(newer) is newer
    assert new != old
    assert set(statuses) == {200}
    assert {new} == {client.post("/infer", json=REQUEST).json()["model"] for _ in range(8)}


def test_too_many_uploads_are_rejected_at_once(client, bodies):
    """Of many concurrent uploads some get 503 and Retry-After, none fails, and the next one succeeds."""
    content = (bodies / "meshes" / "body-00001.ply").read_bytes()

    def upload(_):
        return client.post("/infer/3d", files={"mesh": content})

    with ThreadPoolExecutor(24) as pool:
        responses = list(pool.map(upload, range(24)))
        rejected = [response for response in responses if response.status_code == 503]

    assert {200, 503} == {response.status_code for response in responses}
    assert {"1"} == {response.headers["retry-after"] for response in rejected}
    assert {"busy"} == {response.json()["error"]["code"] for response in rejected}
    assert upload(0).status_code == 200


def test_a_heavy_mesh_does_not_delay_images(client, bodies):
    """/infer responds while a mesh is prepared and lifted."""
    content = (bodies / "meshes" / "body-00001.ply").read_bytes()
    with ThreadPoolExecutor(1) as pool:
        heavy = pool.submit(client.post, "/infer/3d", files={"mesh": content})
        answers = [client.post("/infer", json=REQUEST).status_code for _ in range(3)]

    assert answers == [200] * 3
    assert heavy.result().status_code == 200


def test_a_damaged_run_reveals_no_path(client, served):
    """A missing shard is the server's failure: 500 with a request id for the log, and without the shard's location."""
    (shard, *_) = (served / "renders" / "orthographic").glob("shard-*.parquet")
    answers = []
    shard.rename(shard.with_suffix(".gone"))
    try:
        for number in range(14):
            answers.append(client.post("/infer", json={"object_id": f"body-{number:05d}", "view": 0}))
    finally:
        shard.with_suffix(".gone").rename(shard)
    failed = [answer for answer in answers if answer.status_code != 200]

    assert {500} == {answer.status_code for answer in failed}
    assert not any(word in answer.text for answer in failed for word in (str(served), "shard", "Traceback"))
    assert client.post("/infer", json=REQUEST).status_code == 200


def test_metrics_count_responses(client):
    """Ray's exporter has responses by route and status, and times by stage."""
    client.post("/infer", json=REQUEST)
    port = ray.nodes()[0]["MetricsExportPort"]
    wanted = ("featurelib_requests", "featurelib_request_ms", "featurelib_stage_ms", "featurelib_waiting")
    missing, until = list(wanted), time.monotonic() + 40
    while missing and time.monotonic() < until:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
        missing = [name for name in wanted if name not in text]
        time.sleep(1)

    assert missing == []
