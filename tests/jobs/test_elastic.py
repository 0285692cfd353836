"""Nodes that join in the middle of a job get work within ten seconds, and nodes that leave cost what is in hand."""

import json
import os
import shutil
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from featurelib.datasets.shards import open_renders
from featurelib.models.prediction_parts import read_predictions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

COPIES, WITHIN_S = 12, 10.0

GROW_AND_SHRINK = """
import json, sys, threading, time
import psutil, ray
from ray.cluster_utils import Cluster
from jobs.predict import PredictConfig, predict
from jobs.render import RenderConfig, render
from jobs.train_detector import TrainDetectorConfig, train_detector
from jobs.vectorize import VectorizeConfig, vectorize
JOBS = {
    "render": (lambda a: render(RenderConfig(**a)), "make_shards"),
    "vectorize": (lambda a: vectorize(VectorizeConfig(**a)), "vectorize_shards"),
    "predict": (lambda a: predict(PredictConfig(**a)), "make_part"),
    "train": (lambda a: train_detector(TrainDetectorConfig(**a)), "_read_segment"),
}
name, arguments = sys.argv[1], json.loads(sys.argv[2])
job, title = JOBS[name]

def works(node):
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    for process in raylet.children(recursive=True):
        try:
            if title in "".join(process.cmdline()[:1]):
                return True
        except psutil.Error:
            pass
    return False

def wait_for(node, seconds=120):
    started = time.monotonic()
    while not works(node):
        assert thread.is_alive() and time.monotonic() - started < seconds
        time.sleep(0.05)
    return time.monotonic() - started

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 3 if name == "train" else 1})
ray.init(address=cluster.address, log_to_driver=False)
outcome = []
thread = threading.Thread(target=lambda: outcome.append(job(arguments)))
thread.start()
wait_for(cluster.head_node)
joined = cluster.add_node(num_cpus=1)
took_s = wait_for(joined)
cluster.remove_node(joined, allow_graceful=False)
thread.join()
print(json.dumps({"took_s": took_s}), flush=True)
ray.shutdown()
cluster.shutdown()
sys.exit(0 if outcome == [None] else 1)
"""


KEEP_OFF_GPUS = """
import pyarrow as pa, ray
from ray.cluster_utils import Cluster
from jobs.workers import cluster
from jobs.workers.block_stream import block_stream, results, returns_block
whole = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
ray.init(address=whole.address, log_to_driver=False)
alone = cluster.off_gpu_nodes()
gpu = whole.add_node(num_cpus=4, num_gpus=1, labels={"ray.io/accelerator-type": "H200"})
whole.wait_for_nodes()

@returns_block
def where(block):
    import time
    time.sleep(0.3)
    return ray.get_runtime_context().get_node_id()

stream = block_stream([pa.table({"a": [i]}) for i in range(8)], 1.0).map_batches(
    where, batch_size=None, batch_format="pyarrow", num_cpus=1, label_selector=cluster.off_gpu_nodes())
assert alone is None
assert set(results(stream)) == {whole.head_node.node_id}
ray.shutdown()
whole.shutdown()
"""


def test_rendering_and_decoding_keep_off_gpu_nodes():
    """Where there are nodes without GPUs, tasks that need none run there."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    command = [sys.executable, "-c", KEEP_OFF_GPUS]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-3000:]


def seconds_to_work(job, **arguments):
    """Run a job on one node, let a second one join and, once it works, leave; return how long it took to get work."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    command = [sys.executable, "-c", GROW_AND_SHRINK, job, json.dumps(arguments)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return next(json.loads(line)["took_s"] for line in ended.stdout.splitlines() if line.startswith("{"))


@pytest.fixture(scope="module")
def copies(bodies, tmp_path_factory):
    """The bodies, each a dozen times under other names, with their labels."""
    folder = tmp_path_factory.mktemp("copies")
    shutil.copy(bodies / "dataset.json", folder)
    (folder / "meshes").mkdir()
    header, *rows = (bodies / "landmarks.csv").read_text().splitlines()
    lines = [header]
    for row in rows:
        name, _, rest = row.partition(",")
        for i in range(COPIES):
            shutil.copy(bodies / "meshes" / f"{name}.ply", folder / "meshes" / f"{name}-copy-{i:02d}.ply")
            lines.append(f"{name}-copy-{i:02d},{rest}")
    (folder / "landmarks.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_render_uses_a_node_that_joins(copies, tmp_path):
    assert seconds_to_work("render", dataset=str(copies), run=str(tmp_path), image_size=256) < WITHIN_S

    for projection in ("orthographic", "perspective"):
        manifest = open_renders(str(tmp_path), projection)
        assert sum(manifest.views.values()) == sum(pq.read_metadata(uri).num_rows for uri in manifest.shard_uris)
        assert sum(manifest.objects.values()) == 14 * COPIES


def test_predict_uses_a_node_that_joins(run, copies, tmp_path):
    assert seconds_to_work("predict", dataset=str(copies), run=str(run), out=str(tmp_path)) < WITHIN_S

    ids = read_predictions(str(tmp_path))["object_id"].to_pylist()
    assert len(ids) == len(set(ids)) == 14 * COPIES


def test_vectorize_uses_a_node_that_joins(run, tmp_path):
    """The manifest names the run's shards many times, so that the job takes a while."""
    long = shutil.copytree(run, tmp_path / "run")
    (long / "vectors" / "orthographic.parquet").unlink()
    file = long / "renders" / "orthographic" / "manifest.json"
    manifest = json.loads(file.read_text())
    times = 60
    file.write_text(json.dumps(manifest | {"shards": manifest["shards"] * times}))

    assert seconds_to_work("vectorize", run=str(long), projection="orthographic") < WITHIN_S
    assert pq.read_metadata(long / "vectors" / "orthographic.parquet").num_rows == 14 * times


EPOCHS = 8
TRAINING = {"weights": "none", "head": "regression", "alpha": 0.35, "input_size": 32, "batch_size": 8, "workers": 2}


def test_a_training_decodes_on_a_node_that_joins(run, tmp_path):
    """Its two workers and one decoding task fill the first node."""
    shutil.copytree(run / "renders", tmp_path / "renders")
    recipe = TRAINING | {"epochs": EPOCHS, "patience": EPOCHS, "shuffle_buffer": 4, "max_restarts": 0}
    assert seconds_to_work("train", run=str(tmp_path), **recipe) < WITHIN_S

    assert len((tmp_path / "detector/orthographic/metrics.csv").read_text().splitlines()) == 1 + EPOCHS


PREEMPT = """
import json, logging, subprocess, sys, threading, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from jobs.train_detector import TrainDetectorConfig, train_detector

logging.basicConfig(level=logging.INFO)
arguments = json.loads(sys.argv[1])
metrics = Path(arguments["run"], "detector/orthographic/metrics.csv")
checkpoint = metrics.with_name("checkpoint.npz")

def position():
    import numpy as np
    with np.load(checkpoint) as arrays:
        about = json.loads(arrays["about"].tobytes())
    return len(about["rows"]), about["steps"]

def wait(condition):
    while not (found := condition()):
        assert thread.is_alive()
        time.sleep(0.02)
    return found

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})  # too few for both workers
leaving = cluster.add_node(num_cpus=2)
ray.init(address=cluster.address, log_to_driver=False)
outcome = []
train = lambda: outcome.append(train_detector(TrainDetectorConfig(**arguments)))
thread = threading.Thread(target=train, daemon=True)
thread.start()
wait(checkpoint.exists)
drain = [sys.executable, "-m", "ray.scripts.scripts", "drain-node", "--address", cluster.address]
drain += ["--node-id", leaving.node_id, "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot"]
subprocess.run([*drain, "--deadline-remaining-seconds", "300"], check=True)
saved = wait(lambda: (found := position())[1] and found)
cluster.remove_node(leaving, allow_graceful=False)
print(json.dumps(saved), flush=True)
cluster.add_node(num_cpus=2)
thread.join()
ray.shutdown()
cluster.shutdown()
sys.exit(0 if outcome == [None] else 1)
"""


def test_a_training_saves_before_its_node_is_preempted(run, tmp_path):
    """It resumes from the step that it had saved, within the epoch, and no restart counts as a failure."""
    shutil.copytree(run / "renders", tmp_path / "renders")
    recipe = TRAINING | {"epochs": EPOCHS, "patience": EPOCHS, "max_restarts": 0}  # 22 steps, 6 after the checkpoint
    arguments = {"run": str(tmp_path), **recipe}
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment |= {"RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "0.5"}
    command = [sys.executable, "-c", PREEMPT, json.dumps(arguments)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stderr[-3000:]
    epochs, steps = next(json.loads(line) for line in ended.stdout.splitlines() if line.startswith("["))
    position = f"{steps} steps of epoch {epochs + 1}"

    assert steps > 0
    assert f"a node will be preempted; saved after {position}" in ended.stderr
    assert f"resumes after {position}" in ended.stderr
    assert len((tmp_path / "detector/orthographic/metrics.csv").read_text().splitlines()) == 1 + EPOCHS
