"""What a server lives through while it is asked: lost replicas, newer models, more questions than it can answer."""

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

QUESTION = {"object_id": "body-00001", "view": 3}


@contextmanager
def asked_meanwhile(client, clients=4):
    """Ask all the while; gives the list that the statuses are written to."""
    statuses, ends = [], threading.Event()

    def ask():
        while not ends.is_set():
            statuses.append(client.post("/infer", json=QUESTION).status_code)

    with ThreadPoolExecutor(clients) as pool:
        asking = [pool.submit(ask) for _ in range(clients)]
        try:
            yield statuses
        finally:
            ends.set()
    for each in asking:
        each.result()


@pytest.mark.parametrize("stage", ["DetectorStage", "LifterStage", "RendererStage"])
def test_a_killed_replica_costs_no_answer_of_infer(client, stage):
    """A question whose detector dies is put again to the next; the other stages are not asked; all is whole again."""
    actors = ray.util.list_named_actors(all_namespaces=True)
    name, namespace = next((a["name"], a["namespace"]) for a in actors if stage in a["name"])
    with asked_meanwhile(client) as statuses:
        time.sleep(0.5)
        before = len(statuses)
        ray.kill(ray.get_actor(name, namespace=namespace))
        until = time.monotonic() + 90
        while len(statuses) < before + 20 and time.monotonic() < until:
            time.sleep(0.1)

    assert before > 0
    assert set(statuses) == {200}
    assert len(statuses) >= before + 20


@pytest.mark.slow  # a minute: every replica is replaced while clients ask
def test_newer_models_replace_the_old_without_a_failure(client, served, settings):
    """While it is asked, every answer is 200; then answers name the new model, and only that."""
    from serve.__main__ import reloaded

    file = Path(detector_uri(str(served), "orthographic"), "model.keras")
    old = client.post("/infer", json=QUESTION).json()["model"]
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = b"another file, the same weights"
    with asked_meanwhile(client) as statuses:
        newer = reloaded(settings)
    new = sha256(file.read_bytes()).hexdigest()

    assert newer.version != settings.version
    assert reloaded(newer) is newer
    assert new != old
    assert set(statuses) == {200}
    assert {new} == {client.post("/infer", json=QUESTION).json()["model"] for _ in range(8)}


def test_what_is_too_much_is_refused_and_soon_forgotten(client, bodies):
    """Of many heavy uploads at once some are refused with 503 and Retry-After, none fails, and then all is quick."""
    content = (bodies / "meshes" / "body-00001.ply").read_bytes()

    def upload(_):
        return client.post("/infer/3d", files={"mesh": content})

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(upload, range(24)))
        refused = [answer for answer in answers if answer.status_code == 503]

    assert {200, 503} == {answer.status_code for answer in answers}
    assert {"1"} == {answer.headers["retry-after"] for answer in refused}
    assert {"busy"} == {answer.json()["error"]["code"] for answer in refused}
    assert upload(0).status_code == 200


def test_a_heavy_mesh_does_not_delay_pictures(client, bodies):
    """While meshes are rendered and lifted, /infer is answered."""
    content = (bodies / "meshes" / "body-00001.ply").read_bytes()
    with ThreadPoolExecutor(1) as pool:
        heavy = pool.submit(client.post, "/infer/3d", files={"mesh": content})
        answers = [client.post("/infer", json=QUESTION).status_code for _ in range(3)]

    assert answers == [200] * 3
    assert heavy.result().status_code == 200


def test_a_spoilt_run_tells_no_path(client, served):
    """A shard that is gone is the server's failure: 500, an id to look up in its log, and nothing of where it was."""
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
    assert client.post("/infer", json=QUESTION).status_code == 200


def test_metrics_count_what_was_answered(client):
    """Ray's own exporter gives out requests by route and status, and times by stage."""
    client.post("/infer", json=QUESTION)
    port = ray.nodes()[0]["MetricsExportPort"]
    wanted = ("featurelib_requests", "featurelib_request_ms", "featurelib_stage_ms", "featurelib_waiting")
    missing, until = list(wanted), time.monotonic() + 40
    while missing and time.monotonic() < until:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
        missing = [name for name in wanted if name not in text]
        time.sleep(1)

    assert missing == []
