import numpy as np
import pytest
import trimesh

from featurelib.datasets.shards.frame import FRAME_MARGIN, FrameJob, estimate_frame_mm, frame_sample, needed_frames_mm
from featurelib.geometry import PROJECTIONS, Rig, View, frame_needed_mm
from featurelib.meshes import Mesh

ODD_RIG = Rig((View(-40.0, 10.0), View(0.0, -5.0), View(40.0, 10.0)))


def frame_of(meshes: list[Mesh], rig: Rig, projection: str) -> float:
    """The frame that is estimated from these meshes."""
    return estimate_frame_mm([frame_needed_mm(m.vertices_mm, m.centre_mm, rig, projection) for m in meshes])


def box(*size_mm: float) -> Mesh:
    """A box off the origin."""
    shape = trimesh.creation.box(size_mm)
    return Mesh.smooth(shape.vertices + np.array([5, 6, 7]), shape.faces)


def test_the_frame_is_the_widest_object_with_a_margin():
    """A box as seen from the front and both sides needs its longest edge; rounding up keeps three digits."""
    rig = Rig.evenly(3)

    assert frame_of([box(100, 30, 20), box(10, 200, 30)], rig, "orthographic") == pytest.approx(230)
    assert frame_of([box(0.1003, 0.01, 0.01)], rig, "orthographic") == pytest.approx(0.116)  # up from 0.1153


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_frame_shows_every_object_of_the_sample(projection):
    """All corners of all objects are inside in every view, with the margin and at most the rounding beyond it."""
    meshes = [box(x, 100, 60) for x in (40.0, 80.0, 170.0)]

    frame_mm = frame_of(meshes, ODD_RIG, projection)

    needed = max(frame_needed_mm(mesh.vertices_mm, mesh.centre_mm, ODD_RIG, projection) for mesh in meshes)
    assert 1 <= frame_mm / (needed * FRAME_MARGIN) <= 1.01


@pytest.mark.parametrize("factor", [1000, 25.4, 1 / 25.4])
def test_one_object_in_the_wrong_unit_does_not_set_the_frame(factor):
    """One object that is many times larger or smaller than the rest leaves the frame to the rest."""
    meshes = [box(x, 100, 60) for x in (90.0, 100.0, 110.0, 120.0)]
    odd = box(*np.array([100, 100, 60]) * factor)

    assert frame_of([odd, *meshes], ODD_RIG, "perspective") == frame_of(meshes, ODD_RIG, "perspective")


@pytest.mark.parametrize("count", [0, 1, 63, 64, 127, 128, 1000])
def test_the_sample_is_spread_evenly(count):
    """Few objects are all in the sample; of many, one in every equal step, from the first."""
    sample = frame_sample(range(count))

    assert list(sample) == list(range(0, count, max(1, count // 64)))
    assert min(count, 64) <= len(sample) < 128


def test_a_bad_mesh_of_the_sample_needs_no_frame(spec, tmp_path):
    """The frame is estimated from the meshes that can be read."""
    path = tmp_path / "ball.ply"
    trimesh.creation.icosphere(subdivisions=3, radius=2.5).export(path)
    job = FrameJob(str(path), spec.object_from_source, spec.rig, (spec.projection,))
    assert needed_frames_mm(job)[spec.projection] == pytest.approx(100, rel=0.01)
    path.write_bytes(b"")

    assert needed_frames_mm(job) is None
