"""`ray job submit` to a head that wants a token: jobs as a cluster's users start and stop them."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import trimesh

from featurelib.datasets.shards import open_renders

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


class Head:
    """A head started with cluster/local.sh, which is `ray start --head`, and whoever submits to it."""

    def __init__(self, folder: Path, ports: dict[str, int]):
        path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
        self.environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        self.environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token"), "PATH": path}
        self.address = f"http://127.0.0.1:{ports['dashboard-port']}"
        self.command = [str(ROOT / "cluster" / "local.sh"), "--num-cpus", "2"]
        self.command += [part for name, port in ports.items() for part in (f"--{name}", str(port))]
        self.command += ["--min-worker-port", "0", "--max-worker-port", "0", "--temp-dir", str(folder / "ray")]

    def job(self, *words: str) -> subprocess.CompletedProcess:
        """Run `ray job <words>`."""
        line = [str(BIN / "ray"), "job", words[0], "--address", self.address, *words[1:]]
        return subprocess.run(line, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=900)

    def submit(self, name: str, module: str, *flags: str, wait: bool = True) -> subprocess.CompletedProcess:
        """Submit a job under a name, with the repository as its working folder."""
        how = ["--submission-id", name, "--working-dir", ".", *([] if wait else ["--no-wait"])]
        return self.job("submit", *how, "--", "python", "-m", f"jobs.{module}", *flags)


@pytest.fixture(scope="module")
def head(tmp_path_factory, free_ports):
    folder = Path(tmp_path_factory.mktemp("head"))
    names = ("port", "dashboard-port", "ray-client-server-port", "dashboard-agent-listen-port")
    head = Head(folder, dict(zip(names, free_ports(len(names)), strict=True)))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(head.command, env=head.environment, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 120
        while head.job("list").returncode:
            assert time.monotonic() < until, (folder / "log").read_text()
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(1)
        yield head
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def rendered(head, bodies, tmp_path_factory):
    """A run rendered by a submitted job, and what the job said."""
    folder = tmp_path_factory.mktemp("rendered")
    flags = ["--dataset", str(bodies), "--run", str(folder), "--image-size", "128", "--projections", "orthographic"]
    return folder, head.submit("render", "render", *flags)


def test_without_the_token_nobody_is_heard(head):
    """The head answers 401."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{head.address}/api/jobs/")

    assert refused.value.code == 401


def test_render_is_submitted_and_its_log_tells_how_it_goes(rendered):
    """The job ends with code 0; progress and result are in its log."""
    folder, ended = rendered
    manifest = open_renders(str(folder), "orthographic")

    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    assert sum(manifest.objects.values()) == 14
    assert "render: 14/14 objects" in ended.stdout
    assert f"{folder}/renders/orthographic: 14 objects, 126 views" in ended.stdout


def test_train_detector_is_submitted(head, rendered):
    """It trains on the rendering, and a second job finds it trained."""
    folder, _ = rendered
    flags = ["--run", str(folder), "--weights", "none", "--input-size", "32", "--batch-size", "16", "--epochs", "2"]
    first, second = (head.submit(f"train-{i}", "train_detector", *flags) for i in range(2))

    assert first.returncode == second.returncode == 0, first.stdout[-3000:]
    assert (folder / "detector" / "orthographic" / "model.keras").exists()
    assert "epoch 2/2" in first.stdout
    assert "trained already; nothing to do" in second.stdout


def test_the_later_steps_are_submitted(head, run, bodies, tmp_path):
    """vectorize, evaluate and predict make again what was taken from a finished run."""
    there = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(there / "vectors")
    shutil.rmtree(there / "report")
    where = ("--run", str(there))
    ended = [
        head.submit("vectorize", "vectorize", *where),
        head.submit("evaluate", "evaluate", *where),
        head.submit("predict", "predict", *where, "--dataset", str(bodies), "--out", str(tmp_path / "out")),
    ]

    for job in ended:
        assert job.returncode == 0, job.stdout[-3000:]
    assert (there / "report" / "report.json").exists()
    assert pq.read_table(tmp_path / "out" / "predictions.parquet").num_rows == 14


def test_bad_usage_fails_the_job_with_its_one_line(head, bodies, tmp_path):
    """The exit code is carried through, and the log has the line, without a traceback."""
    flags = ["--dataset", str(bodies), "--run", str(tmp_path), "--image-size", "3"]
    ended = head.submit("bad", "render", *flags)
    log = head.job("logs", "bad").stdout
    told = head.job("list").stdout

    assert ended.returncode != 0
    assert "error: --image-size 3: expected at least 16 pixels" in log
    assert "Traceback" not in log
    assert "exit code 2" in told


def test_a_stopped_job_leaves_nothing_half_committed_and_goes_on(head, tmp_path):
    """Stopped in the middle there is no manifest, the log has one line, and the next job makes only what is missing."""
    dataset, run = tmp_path / "balls", tmp_path / "run"
    write_balls(dataset, 400)
    flags = ["--dataset", str(dataset), "--run", str(run), "--image-size", "128", "--projections", "orthographic"]
    shards = run / "renders" / "orthographic"
    head.submit("stopped", "render", *flags, wait=False)
    until = time.monotonic() + 120
    while len(list(shards.glob("shard-*"))) < 3:
        assert time.monotonic() < until, head.job("logs", "stopped").stdout
        time.sleep(0.05)
    head.job("stop", "stopped")
    time.sleep(3)  # a worker of the stopped job may end the shard that it had begun
    kept = {path: path.stat().st_mtime_ns for path in shards.glob("shard-*")}
    log = head.job("logs", "stopped").stdout

    assert "'stopped' was stopped" in head.job("status", "stopped").stdout
    assert not (shards / "manifest.json").exists()
    assert "error: interrupted; run the same command to continue" in log
    assert "Traceback" not in log
    assert "SIGTERM received" not in log
    assert head.submit("goes-on", "render", *flags).returncode == 0
    assert sum(open_renders(str(run), "orthographic").objects.values()) == 400
    assert kept == {path: path.stat().st_mtime_ns for path in kept}


def write_balls(folder: Path, count: int) -> None:
    """Write a dataset of balls that takes some seconds to render."""
    (folder / "meshes").mkdir(parents=True)
    ball = trimesh.creation.icosphere(subdivisions=5, radius=60.0).export(file_type="ply")
    rows = ["object_id,left_x,left_y,left_z,right_x,right_y,right_z"]
    for i in range(count):
        (folder / "meshes" / f"ball-{i:04d}.ply").write_bytes(ball)
        rows.append(f"ball-{i:04d},60,0,0,-60,0,0")
    (folder / "landmarks.csv").write_text("\n".join(rows))
    (folder / "dataset.json").write_text(json.dumps({"unit": "mm", "landmark": "pole"}))
