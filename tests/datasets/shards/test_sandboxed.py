"""Work on one mesh in a sandboxed process, whose memory does not grow."""

import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import psutil
import pytest
import trimesh

from featurelib.datasets.shards.sandboxed import (
    ObjectJob,
    PreparedMesh,
    PrepareJob,
    UploadJob,
    prepare_mesh,
    render_object,
)
from featurelib.geometry import LandmarkSet
from featurelib.meshes import Limits
from featurelib.meshes.template import Template, locate
from featurelib.rendering import open_renderer
from featurelib.runtime.sandbox import SandboxedProcess, SandboxLimits

PAIR = LandmarkSet.single_pair("tip")

LABELS = {
    "object_id": "ball",
    "mesh": "ball.ply",
    "group": "ball",
    "split": "train",
    "landmarks": [2.5, 0.0, 0.0, -2.5, 0.0, 0.0],
    "absent": [False, False],
}


@pytest.fixture
def job(spec, tmp_path):
    """A ball of 50 mm (the spec reads centimetres and doubles them), rendered in one projection."""
    path = tmp_path / "ball.ply"
    trimesh.creation.icosphere(subdivisions=3, radius=2.5).export(path)
    return ObjectJob(LABELS, PAIR, str(path), {spec.projection: spec})


def resident_mb(_):
    """The memory of the process, in MB."""
    return psutil.Process(os.getpid()).memory_full_info().uss / 2**20


def test_an_object_gives_rows_or_a_reason(job, spec, tmp_path):
    """A good mesh gives one row per view; a missing or bad one gives a reject with the stage, and its hash."""
    good = render_object(job)
    missing = render_object(ObjectJob(LABELS | {"mesh": None}, PAIR, None, job.specs))
    (tmp_path / "ball.ply").write_bytes(b"no mesh")
    broken = render_object(job)

    assert len(spec.rig) == len(good.outcomes[spec.projection])
    assert good.mesh_sha256 == good.outcomes[spec.projection][0]["mesh_sha256"]
    assert (missing.mesh_sha256, broken.mesh_sha256) == (None, sha256(b"no mesh").hexdigest())
    missing, broken = (found.outcomes[spec.projection] for found in (missing, broken))
    assert (missing["stage"], broken["stage"]) == ("load", "load")
    assert missing["reason"].startswith("meshes/ball: no mesh file")
    assert broken["reason"].startswith("meshes/ball.ply: ")


def test_files_and_uploads_are_prepared_equally(job, spec):
    """The images are those of a rendering, the landmarks those of `locate`; a damaged upload gives a reason."""
    ball = trimesh.creation.icosphere(subdivisions=3, radius=50)
    template = Template(ball.vertices, ball.vertices[:2])
    content = Path(job.mesh_uri).read_bytes()
    rows = render_object(job).outcomes[spec.projection]
    from_file = prepare_mesh(PrepareJob(job.mesh_uri, spec, template))
    upload = prepare_mesh(UploadJob(content, ".stl", spec, template, Limits()))
    located = locate(template, from_file.mesh.vertices_mm, from_file.mesh.faces)

    for prepared in (from_file, upload):
        assert isinstance(prepared, PreparedMesh)
        assert list(prepared.pngs) == [row["png"] for row in rows]
        np.testing.assert_array_equal(prepared.located.landmarks_mm, located.landmarks_mm)
        np.testing.assert_array_equal(prepared.object_from_source, spec.object_from_source)
    assert prepare_mesh(UploadJob(content[:-9], ".ply", spec, template, Limits())).startswith("mesh: ")


def test_a_process_does_not_grow(job):
    """After 5,000 images its memory is within a tenth of what it was after 500."""
    open_renderer("raster")
    views = len(next(iter(job.specs.values())).rig)
    with SandboxedProcess(
        SandboxLimits(recycle_after=10_000), preload=["featurelib.datasets.shards.sandboxed"]
    ) as process:
        for _ in process.map(render_object, [job] * (500 // views)):
            pass
        early = process(resident_mb, 0)
        for _ in process.map(render_object, [job] * (4500 // views)):
            pass
        late = process(resident_mb, 0)

    assert late <= 1.1 * early
