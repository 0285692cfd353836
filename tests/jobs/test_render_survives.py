"""Killed drivers, workers, processes and nodes: the next run ends with exactly the expected shards."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import ray
import trimesh

from featurelib.datasets.shards import bucket_of, open_renders
from featurelib.errors import DataError
from featurelib.geometry import PROJECTIONS
from jobs.render import RenderConfig, render
from jobs.workers.block_stream import TRIES

OBJECTS, VIEWS = 120, 9


def write_balls(folder, count):
    """Write a dataset of ellipsoids, large enough that rendering all of them takes some seconds."""
    rng = np.random.default_rng(0)
    (folder / "meshes").mkdir(parents=True)
    rows = ["object_id,left_x,left_y,left_z,right_x,right_y,right_z"]
    for i in range(count):
        radii = rng.uniform(50, 80, 3)
        ball = trimesh.creation.icosphere(subdivisions=5)
        ball.apply_scale(radii)
        ball.export(folder / "meshes" / f"ball-{i:04d}.ply")
        rows.append(f"ball-{i:04d},{radii[0]},0,0,{-radii[0]},0,0")
    (folder / "landmarks.csv").write_text("\n".join(rows))
    (folder / "dataset.json").write_text('{"unit": "mm", "landmark": "pole"}')


@pytest.fixture(scope="module")
def balls(tmp_path_factory):
    """More objects than are rendered before the first shards exist."""
    folder = tmp_path_factory.mktemp("balls")
    write_balls(folder, OBJECTS)
    return folder


@pytest.fixture
def config(balls, tmp_path):
    """A rendering of all balls in both projections."""
    return RenderConfig(dataset=str(balls), run=str(tmp_path), image_size=128)


def assert_exact(run, objects=OBJECTS):
    """Check that each (object, view) is once in each projection, in the shards of the manifest and in no other."""
    for projection in PROJECTIONS:
        manifest = open_renders(str(run), projection)
        seen = [
            (row["object_id"], row["view"], row["projection"])
            for uri in manifest.shard_uris
            for row in pq.read_table(uri, columns=["object_id", "view", "projection"]).to_pylist()
        ]
        wanted = {(f"ball-{i:04d}", view, projection) for i in range(objects) for view in range(VIEWS)}
        assert wanted == set(seen)
        assert len(wanted) == len(seen)
        shards = {path.name for path in (run / "renders" / projection).glob("shard-*")}
        assert shards == set(manifest.shards)


def visible_shards(run):
    """The complete shards of a run."""
    return list(run.glob("renders/*/shard-*.parquet"))


def wait_for_shards(run, count, seconds=120):
    """Wait until a rendering has written some shards."""
    ends = time.monotonic() + seconds
    while len(visible_shards(run)) < count:
        assert time.monotonic() < ends, "the rendering did not start"
        time.sleep(0.02)


def in_background(config):
    """Start a rendering in a thread of this process."""
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(render(config)))
    thread.start()
    return thread, outcome


def test_a_killed_driver_leaves_complete_shards_and_the_next_run_ends(cluster, config, tmp_path):
    """All shards that exist can be read, and the next run renders none of them again."""
    address = ray.get_runtime_context().gcs_address
    flags = ["--dataset", config.dataset, "--run", config.run, "--image-size", "128"]
    driver = subprocess.Popen(
        [sys.executable, "-m", "jobs.render", *flags],
        env={**os.environ, "RAY_ADDRESS": address},
        stderr=subprocess.PIPE,
    )
    wait_for_shards(tmp_path, 3)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    kept = {path: path.stat().st_mtime_ns for path in visible_shards(tmp_path)}
    for path in kept:
        assert pq.read_metadata(path).num_rows > 0
    with pytest.raises(DataError, match="has not finished"):
        open_renders(str(tmp_path), "orthographic")
    time.sleep(2)  # workers of a dead job may still finish their tasks
    kept = {path: path.stat().st_mtime_ns for path in visible_shards(tmp_path)}
    render(config)

    assert_exact(tmp_path)
    assert kept == {path: path.stat().st_mtime_ns for path in kept}


def test_a_killed_worker_is_replaced(cluster, ray_workers, config, tmp_path):
    """Ray runs its task on another worker."""
    thread, outcome = in_background(config)
    wait_for_shards(tmp_path, 3)
    victims = ray_workers("make_shards")
    assert victims
    victims[0].send_signal(signal.SIGKILL)
    thread.join()

    assert outcome == [None]
    assert_exact(tmp_path)


def test_a_killed_render_process_costs_nothing(cluster, ray_workers, config, tmp_path):
    """Its object is tried again in a new process: a kill from outside is not a fault of the mesh."""
    thread, outcome = in_background(config)
    wait_for_shards(tmp_path, 3)
    family = [child for worker in ray_workers("make_shards") for child in worker.children(recursive=True)]
    leaves = [process for process in family if "forkserver" in " ".join(process.cmdline()) and not process.children()]
    assert leaves
    leaves[0].send_signal(signal.SIGKILL)
    thread.join()

    assert outcome == [None]
    assert_exact(tmp_path)


LOSE_A_NODE = """
import sys, threading, time, json
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
second = cluster.add_node(num_cpus=1)
ray.init(address=cluster.address, log_to_driver=False)
from jobs.render import RenderConfig, render
from jobs.workers.block_stream import TRIES
dataset, run = sys.argv[1:]
outcome = []
thread = threading.Thread(target=lambda: outcome.append(render(RenderConfig(dataset=dataset, run=run, image_size=128))))
thread.start()
while len(list(Path(run).glob("renders/*/shard-*.parquet"))) < 3:
    assert thread.is_alive()
    time.sleep(0.02)
cluster.remove_node(second, allow_graceful=False)
thread.join()
ray.shutdown()
cluster.shutdown()
sys.exit(0 if outcome == [None] else 1)
"""


def test_a_lost_node_is_replaced(balls, tmp_path):
    """One of two nodes is killed: its unfinished shards are made on the other."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    command = [sys.executable, "-c", LOSE_A_NODE, str(balls), str(tmp_path)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)

    assert ended.returncode == 0, ended.stderr[-3000:]
    assert_exact(tmp_path)


def test_a_shard_that_ends_its_worker_each_time_is_rejected(cluster, ending_workers, tmp_path):
    """After four workers its objects are rejects with that reason; all other objects are rendered."""
    write_balls(tmp_path / "balls", 40)
    with ending_workers("make_shards", TRIES) as ended:
        render(
            RenderConfig(
                dataset=str(tmp_path / "balls"),
                run=str(tmp_path),
                image_size=64,
                frame_mm=300,
                max_workers=1,
                max_reject_fraction=1,
            )
        )
    manifest = open_renders(str(tmp_path), "orthographic")
    rejects = pq.read_table(tmp_path / "renders/orthographic/rejects.parquet").to_pylist()
    lost = {row["object_id"] for row in rejects}
    rendered = {row["object_id"] for uri in manifest.shard_uris for row in pq.read_table(uri).to_pylist()}

    assert len(ended) == TRIES
    assert {bucket_of(object_id, 4) for object_id in lost} == {bucket_of(rejects[0]["object_id"], 4)}
    assert {row["stage"] for row in rejects} == {"process"}
    assert {row["reason"].partition(": ")[2] for row in rejects} == {
        f"one of the {len(rejects)} objects of its shard ended its worker {TRIES} times"
    }
    assert rendered == {f"ball-{i:04d}" for i in range(40)} - lost
    assert rendered


@pytest.fixture
def bad_balls(tmp_path):
    """Ten objects, four of which cannot be read."""
    folder = tmp_path / "bad"
    write_balls(folder, 10)
    for i in range(4):
        (folder / "meshes" / f"ball-{i:04d}.ply").write_bytes(b"ply\nformat ascii 1.0\nend_header\n")
    return folder


def test_too_many_rejects_end_the_job_without_a_manifest(cluster, bad_balls, tmp_path):
    """A dataset in a wrong format is an error, not an empty result; a higher limit reuses the existing shards."""
    flags = {"dataset": str(bad_balls), "run": str(tmp_path), "projections": ("orthographic",), "image_size": 64}
    with pytest.raises(DataError, match=r"4 of 10 objects failed, more than --max-reject-fraction 0\.3"):
        render(RenderConfig(**flags, max_reject_fraction=0.3))
    with pytest.raises(DataError, match="has not finished"):
        open_renders(str(tmp_path), "orthographic")
    render(RenderConfig(**flags, max_reject_fraction=0.4))

    assert open_renders(str(tmp_path), "orthographic").rejected == 4


def test_a_mesh_that_takes_too_long_is_rejected_with_the_limit(cluster, balls, tmp_path):
    """The time limit is per object; here it is too short for all."""
    with pytest.raises(DataError, match=r"took longer than 0\.001 s"):
        render(
            RenderConfig(
                dataset=str(balls),
                run=str(tmp_path),
                image_size=64,
                frame_mm=300,
                object_timeout=0.001,
                max_reject_fraction=0.1,
            )
        )


def test_a_finished_rendering_is_recognised_by_its_listing(cluster, bad_balls, tmp_path):
    """A second run reads the tables and the manifest and no mesh, not even an unreadable one."""
    flags = {"dataset": str(bad_balls), "run": str(tmp_path), "projections": ("orthographic",), "image_size": 64}
    render(RenderConfig(**flags))
    meshes = list((bad_balls / "meshes").iterdir())
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    opened = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
    render(RenderConfig(**flags))

    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert not [path for path in meshes if str(path) in opened]
    assert json.loads((tmp_path / "renders/orthographic/manifest.json").read_text())["rejected"] == 4


def corrupt(path, kind):
    """Make a good mesh file bad in one way."""
    content = path.read_bytes()
    mesh = trimesh.load(path, process=False)
    if kind == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "no faces":
        trimesh.PointCloud(mesh.vertices).export(path)
    elif kind == "NaN":
        mesh.vertices[:100] = np.nan  # 600 of its faces: more than a reader may leave out
        path.write_bytes(trimesh.exchange.ply.export_ply(mesh))
    elif kind == "one point":
        trimesh.Trimesh(np.zeros_like(mesh.vertices), mesh.faces, process=False).export(path)
    elif kind == "wrong unit":
        trimesh.Trimesh(mesh.vertices * 1e6, mesh.faces, process=False).export(path)
    elif kind == "wrong ending":
        path.write_bytes(trimesh.exchange.stl.export_stl(mesh))
    elif kind == "20 million faces":
        path.write_bytes(content.replace(f"element face {len(mesh.faces)}".encode(), b"element face 20000000"))
    elif kind == "too large":
        trimesh.Trimesh(mesh.vertices * 3, mesh.faces, process=False).export(path)


BAD = {
    "truncated": "cut off",
    "empty": "empty",
    "no faces": "no faces",
    "NaN": "NaN or infinite",
    "one point": "one point",
    "wrong unit": "check the unit",
    "wrong ending": "is an STL file, not a PLY",
    "20 million faces": "20,000,000 faces; expected at most 10,000,000",
    "too large": "needs a frame of",
    "label outside": "landmark pole_left needs a frame of",
}


def test_every_bad_mesh_ends_in_its_reason_and_good_ones_are_untouched(cluster, tmp_path):
    """Ten objects, each with another fault, among ten good ones, whose images equal those of a clean dataset."""
    for name in ("clean", "mixed"):
        write_balls(tmp_path / name, 2 * len(BAD))
    for i, kind in enumerate(BAD):
        corrupt(tmp_path / "mixed" / "meshes" / f"ball-{i:04d}.ply", kind)
    labels = tmp_path / "mixed" / "landmarks.csv"
    last = f"ball-{len(BAD) - 1:04d}"
    labels.write_text(
        "\n".join(f"{last},900,0,0,-50,0,0" if row.startswith(last) else row for row in labels.read_text().splitlines())
    )
    images = {}
    for name in ("clean", "mixed"):
        flags = {
            "run": str(tmp_path / f"run-{name}"),
            "projections": ("orthographic",),
            "image_size": 64,
            "frame_mm": 300,
        }
        render(RenderConfig(dataset=str(tmp_path / name), **flags))
        manifest = open_renders(flags["run"], "orthographic")
        rows = [row for uri in manifest.shard_uris for row in pq.read_table(uri).to_pylist()]
        images[name] = {(row["object_id"], row["view"]): row["png"] for row in rows}
    rejects = pq.read_table(tmp_path / "run-mixed/renders/orthographic/rejects.parquet").to_pylist()

    assert [row["object_id"] for row in rejects] == [f"ball-{i:04d}" for i in range(len(BAD))]
    for row, words in zip(rejects, BAD.values(), strict=True):
        assert words in row["reason"]
    assert len(images["mixed"]) == VIEWS * len(BAD)
    assert images["mixed"].items() <= images["clean"].items()
