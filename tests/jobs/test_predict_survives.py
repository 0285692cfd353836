"""Nodes and workers are killed during a prediction: each object has one prediction, or the reason for none."""

import os
import shutil
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from jobs.predict import PredictConfig, predict
from jobs.workers.block_stream import TRIES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

COPIES = 12

LOSE_A_NODE = """
import sys, threading, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
second, third = cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1)
ray.init(address=cluster.address, log_to_driver=False)
from jobs.predict import PredictConfig, predict
dataset, run, out = sys.argv[1:]
outcome = []
config = PredictConfig(dataset=dataset, run=run, out=out)
thread = threading.Thread(target=lambda: outcome.append(predict(config)))
thread.start()
while len(list(Path(out).glob("parts/part-*"))) < 2:
    assert thread.is_alive()
    time.sleep(0.02)
made = len(list(Path(out).glob("parts/part-*")))
cluster.remove_node(second, allow_graceful=False)
print(made, flush=True)
thread.join()
ray.shutdown()
cluster.shutdown()
sys.exit(0 if outcome == [None] else 1)
"""


@pytest.fixture(scope="module")
def copies(bodies, tmp_path_factory):
    """The bodies, each a dozen times under other names: about eleven parts."""
    folder = tmp_path_factory.mktemp("copies")
    shutil.copy(bodies / "dataset.json", folder)
    (folder / "meshes").mkdir()
    for path in (bodies / "meshes").iterdir():
        for i in range(COPIES):
            shutil.copy(path, folder / "meshes" / f"{path.stem}-copy-{i:02d}.ply")
    return folder


def test_a_lost_node_changes_no_prediction(cluster, run, bodies, copies, tmp_path):
    """Other nodes write its parts; each copy has the prediction of its original, and each part exists once."""
    predict(PredictConfig(dataset=str(bodies), run=str(run), out=str(tmp_path / "expected")))
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    command = [sys.executable, "-c", LOSE_A_NODE, str(copies), str(run), str(tmp_path / "out")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200)
    assert ended.returncode == 0, ended.stderr[-3000:]
    expected, found = rows(tmp_path / "expected"), rows(tmp_path / "out")
    parts = list((tmp_path / "out" / "parts").iterdir())

    made = next(int(line) for line in ended.stdout.splitlines() if line.isdigit())  # Ray writes there, too
    assert made < len(parts)
    assert len(found) == COPIES * len(expected)
    assert len(found) == sum(pq.read_metadata(path).num_rows for path in parts)
    for key, row in found.items():
        assert_same_as_original(key, row, expected)


def test_a_part_that_ends_its_worker_each_time_is_rejected(cluster, run, bodies, ending_workers, tmp_path):
    """After four workers its objects have no prediction and that reason; all others have theirs."""
    predict(PredictConfig(dataset=str(bodies), run=str(run), out=str(tmp_path / "expected")))
    expected = rows(tmp_path / "expected")
    folder = tmp_path / "scans"
    (folder / "meshes").mkdir(parents=True)
    shutil.copy(bodies / "dataset.json", folder)
    for path in (bodies / "meshes").iterdir():
        for i in range(3):
            shutil.copy(path, folder / "meshes" / f"{path.stem}-copy-{i:02d}.ply")
    with ending_workers("make_part", TRIES) as ended:
        predict(PredictConfig(dataset=str(folder), run=str(run), out=str(tmp_path / "out"), max_workers=1))
    found = rows(tmp_path / "out")
    objects = {object_id for object_id, _ in found}
    lost = {object_id for (object_id, _), row in found.items() if row["reason"].startswith("process: ")}

    assert len(ended) == TRIES
    assert len(found) == 3 * len(expected)
    assert 0 < len(lost) < len(objects)
    for key, row in found.items():
        if key[0] in lost:
            assert row["reason"].endswith(f"one of the {len(lost)} objects of its part ended its worker {TRIES} times")
            assert row["x"] is None
        else:
            assert_same_as_original(key, row, expected)


def assert_same_as_original(key, row, expected):
    """Compare the row of a copy's landmark with that of its original."""
    original = key[0].partition("-copy-")[0]
    assert row | {"object_id": original} == expected[original, key[1]]


def rows(out):
    """The rows of predictions.parquet by object and landmark."""
    found = pq.read_table(out / "predictions.parquet").to_pylist()
    by_landmark = {(row["object_id"], row["landmark"]): row for row in found}
    assert len(by_landmark) == len(found)
    return by_landmark
