import json
from dataclasses import fields, replace

import numpy as np
import pytest
import trimesh

from featurelib.datasets.shards import RenderSpec, estimate_frame_mm, frame_sample
from featurelib.datasets.shards.spec import FRAME_MARGIN
from featurelib.geometry import PROJECTIONS, Alignment, Rig, View, frame_needed_mm
from featurelib.meshes import Mesh

ODD_RIG = Rig((View(-40.0, 10.0), View(0.0, -5.0), View(40.0, 10.0)))


def frame_of(meshes: list[Mesh], rig: Rig, projection: str) -> float:
    """The frame that is estimated from these meshes."""
    return estimate_frame_mm([frame_needed_mm(m.vertices_mm, m.centre_mm, rig, projection) for m in meshes])


def box(*size_mm: float) -> Mesh:
    """A box off the origin."""
    shape = trimesh.creation.box(size_mm)
    return Mesh.smooth(shape.vertices + np.array([5, 6, 7]), shape.faces)


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_a_spec_survives_json(spec, projection):
    """What a manifest says of the images is all that there is to say."""
    spec = replace(spec, projection=projection, rig=ODD_RIG, alignment=Alignment(((1.0, 0.5, 0.0, 0.25),), 3.0))

    assert RenderSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert set(spec.to_dict()) == {field.name for field in fields(RenderSpec)}


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_image_is_frame_mm_wide_at_the_centre(spec, projection):
    """In every view the centre is the image's middle, and half the frame to its side is the image's edge."""
    spec, centre_mm = replace(spec, projection=projection), np.array([10.0, 20.0, -30.0])

    cameras = spec.cameras(centre_mm)

    assert len(cameras) == len(spec.rig)
    for camera in cameras:
        right, up = camera.object_from_camera[:3, 0], camera.object_from_camera[:3, 1]
        half_mm = spec.frame_mm / 2
        assert camera.project(centre_mm) == pytest.approx([0.5, 0.5])
        assert camera.project(centre_mm + half_mm * (right + up)) == pytest.approx([1, 0], abs=1e-12)


def test_the_frame_is_the_widest_object_with_a_margin():
    """A box as seen from the front and both sides needs its longest edge; rounding up keeps three digits."""
    rig = Rig.evenly(3)

    assert frame_of([box(100, 30, 20), box(10, 200, 30)], rig, "orthographic") == pytest.approx(230)
    assert frame_of([box(0.1003, 0.01, 0.01)], rig, "orthographic") == pytest.approx(0.116)  # up from 0.1153


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_frame_shows_every_object_of_the_sample(projection):
    """All corners of all objects are inside in every view, with the margin and no more than rounding beyond it."""
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
    """Few objects are all looked at; of many, one in every equal step, from the first on."""
    sample = frame_sample(range(count))

    assert list(sample) == list(range(0, count, max(1, count // 64)))
    assert min(count, 64) <= len(sample) < 128
