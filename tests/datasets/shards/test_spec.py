import json
from dataclasses import fields, replace

import numpy as np
import pytest

from featurelib.datasets.shards import RenderSpec
from featurelib.geometry import PROJECTIONS, Alignment, Rig, View

ODD_RIG = Rig((View(-40.0, 10.0), View(0.0, -5.0), View(40.0, 10.0)))


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_a_spec_survives_json(spec, projection):
    """A spec is read from a manifest as it was written, with every field."""
    spec = replace(spec, projection=projection, rig=ODD_RIG, alignment=Alignment(((1.0, 0.5, 0.0, 0.25),), 3.0))

    assert RenderSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert set(spec.to_dict()) == {field.name for field in fields(RenderSpec)}


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_the_image_is_frame_mm_wide_at_the_centre(spec, projection):
    """In every view the centre is the middle of the image, and half the frame to its side is the edge."""
    spec, centre_mm = replace(spec, projection=projection), np.array([10.0, 20.0, -30.0])

    cameras = spec.cameras(centre_mm)

    assert len(cameras) == len(spec.rig)
    for camera in cameras:
        right, up = camera.object_from_camera[:3, 0], camera.object_from_camera[:3, 1]
        half_mm = spec.frame_mm / 2
        assert camera.project(centre_mm) == pytest.approx([0.5, 0.5])
        assert camera.project(centre_mm + half_mm * (right + up)) == pytest.approx([1, 0], abs=1e-12)
