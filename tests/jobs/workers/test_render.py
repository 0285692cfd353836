"""The render job without a cluster: each mesh is read once, and a shard is named after what was rendered."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

import jobs.drivers.render
from featurelib.datasets.content_tags import with_content_tags
from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.shards import open_renders, plan_shards
from featurelib.datasets.synthetic import write_dataset
from featurelib.runtime.sandbox import ProcessLostError
from jobs.render import RenderConfig, render
from jobs.workers.render import make_shards

PROJECTION = "orthographic"


@pytest.fixture
def tasks(monkeypatch) -> list:
    """Run tasks in this process, one after the other, and collect their results."""
    made = []

    def shard_stream(rendering, shard_jobs, *_):
        for job in shard_jobs:
            made.append(make_shards(job.to_block(), rendering)["result"][0])
            yield made[-1]

    monkeypatch.setattr(jobs.drivers.render, "shard_stream", shard_stream)
    monkeypatch.setattr("jobs.workers.render._count", lambda *_: None)
    return made


@pytest.fixture
def config(tmp_path) -> RenderConfig:
    """Three bodies in small images."""
    write_dataset(tmp_path / "bodies", 3)
    return RenderConfig(
        dataset=str(tmp_path / "bodies"),
        run=str(tmp_path / "run"),
        projections=(PROJECTION,),
        image_size=32,
        frame_mm=500,
        backend="raster",
    )


def body(config: RenderConfig, index: int) -> Path:
    return Path(config.dataset, "meshes", f"body-{index:05d}.ply")


def files_of(config: RenderConfig) -> dict:
    """The files of the run with their time of change, without locks."""
    return {path: path.stat().st_mtime_ns for path in Path(config.run).rglob("*.*") if path.name[0] != "."}


def planned_name(config: RenderConfig) -> str:
    """The name of the one shard of the dataset as it is now."""
    dataset, spec = with_content_tags(open_dataset(config.dataset)), open_renders(config.run, PROJECTION).spec
    (plan,) = plan_shards(dataset.objects, dataset.landmarks, {PROJECTION: spec}, 1)
    return plan.names[PROJECTION]


def rendered(config: RenderConfig) -> dict:
    """The hash of the mesh by object, as the shards have it."""
    manifest = open_renders(config.run, PROJECTION)
    rows = [row for uri in manifest.shard_uris for row in pq.read_table(uri).to_pylist()]
    return {row["object_id"]: row["mesh_sha256"] for row in rows}


def opened_meshes(action) -> list[str]:
    """The mesh files that this process opens during an action."""
    found, is_active = [], True
    sys.addaudithook(lambda event, args: is_active and event == "open" and found.append(str(args[0])))
    action()
    is_active = False
    return [path for path in found if path.endswith(".ply")]


def test_the_driver_opens_no_mesh(tasks, config):
    """A first rendering reads meshes in the sandboxed process only; names and hashes are those of the content."""
    assert opened_meshes(lambda: render(config)) == []
    assert open_renders(config.run, PROJECTION).shards == (planned_name(config),)
    assert [f"sha256:{digest}" for digest in rendered(config).values()] == [*tasks[0].tags.values()]


def test_a_finished_rendering_needs_no_task(tasks, config, capsys):
    """The second run finds the content tags of unchanged files in inputs.parquet."""
    render(config)
    tasks.clear()
    before = files_of(config)
    render(config)

    assert (tasks, files_of(config)) == ([], before)
    assert "nothing to do" in capsys.readouterr().out


def test_touched_files_are_read_and_not_rendered(tasks, config, capsys):
    """Another time of change with the same content changes inputs.parquet alone."""
    render(config)
    before = files_of(config)
    body(config, 1).write_bytes(body(config, 1).read_bytes())
    render(config)

    assert {path.name for path, time in files_of(config).items() if time != before[path]} == {"inputs.parquet"}
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("is_known", [True, False])
def test_a_mesh_that_changes_after_the_plan_names_its_shard(tasks, config, is_known):
    """The shard has the name of the content that was rendered, and the next run plans that same name."""
    if is_known:
        render(config)
        config = replace(config, image_size=48, overwrite=True)
    dataset = open_dataset(config.dataset)
    body(config, 2).write_bytes(body(config, 1).read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs.drivers.render, "open_dataset", lambda *_, **__: dataset)
        render(config)

    assert open_renders(config.run, PROJECTION).shards == (planned_name(config),)
    assert rendered(config)["body-00002"] == rendered(config)["body-00001"]


def test_a_mesh_that_ends_its_process_has_its_content_in_the_name(tasks, config, monkeypatch):
    """The worker hashes a file whose process gave no answer."""
    lost = SimpleNamespace(map=lambda work, items: [ProcessLostError("ended by SIGKILL")] * len(items))
    monkeypatch.setattr("jobs.workers.render.shared_sandbox", lambda *_: lost)
    render(replace(config, max_reject_fraction=1))

    assert open_renders(config.run, PROJECTION).rejected == 3
    assert open_renders(config.run, PROJECTION).shards == (planned_name(config),)


def splits_in(config: RenderConfig, projection: str) -> dict:
    """The split of each object, as the shards have it."""
    manifest = open_renders(config.run, projection)
    return {row["object_id"]: row["split"] for uri in manifest.shard_uris for row in pq.read_table(uri).to_pylist()}


def test_objects_stay_in_their_splits_when_others_are_added(tasks, config, caplog):
    """A later rendering, also in another projection, has the splits of the first one, and says that they are small."""
    render(config)
    first = splits_in(config, PROJECTION)
    assert sorted(first.values()) == ["test", "train", "val"]
    assert "render: few objects to judge by (train 1, val 1, test 1)" in caplog.text

    shutil.rmtree(config.dataset)
    write_dataset(Path(config.dataset), 12)
    without_record = open_dataset(config.dataset).objects
    render(config)
    render(replace(config, projections=("perspective",)))
    later = splits_in(config, PROJECTION)

    assert len(later) == 12
    assert first.items() <= later.items()
    assert splits_in(config, "perspective") == later
    assert later != dict(zip(*(without_record[name].to_pylist() for name in ("object_id", "split")), strict=True))
