import hashlib

import numpy as np
import pytest
import trimesh

from featurelib.datasets.synthetic import EAR_TIPS
from featurelib.geometry import DEFAULT_RIG, frame_needed_mm
from featurelib.meshes import Mesh
from featurelib.validation.dataset.measure import (
    MeasureJob,
    ReferenceJob,
    Unread,
    measure,
    measure_mesh,
    measure_reference,
)


def mesh_of(*parts: trimesh.Trimesh) -> Mesh:
    joined = trimesh.util.concatenate(parts)
    return Mesh.smooth(joined.vertices, joined.faces)


def job(landmarks_mm=None, uri: str = "") -> MeasureJob:
    labels_mm = None if landmarks_mm is None else np.array(landmarks_mm, dtype=float)
    return MeasureJob("a", uri, np.eye(4), EAR_TIPS, labels_mm)


BOX = trimesh.creation.box([20, 40, 60])


def test_a_box_is_measured_exactly():
    """Bounds, size, faces and the needed image width of a box are known exactly."""
    mesh = mesh_of(BOX)

    found = measure_mesh(mesh, job())

    assert found.bounds_mm.tolist() == [[-10, -20, -30], [10, 20, 30]]
    assert found.size_mm == pytest.approx((20**2 + 40**2 + 60**2) ** 0.5)
    assert found.num_faces == 12
    for projection, mm in found.frames_mm.items():
        assert mm == frame_needed_mm(mesh.vertices_mm, mesh.centre_mm, DEFAULT_RIG, projection)
    assert found.labels is None
    assert found.fit is None


def test_labels_are_measured_from_the_surface():
    """A landmark on a face is 0 mm off, another 3 mm outside is 3 mm off; both are visible."""
    found = measure_mesh(mesh_of(BOX), job([[10, 5, 5], [-13, 5, 5]])).labels

    assert found.off_mm == pytest.approx([0, 3], abs=1e-6)
    assert found.is_occluded.tolist() == [False, False]
    assert found.frames_mm["orthographic"].max() < 2 * np.linalg.norm([13, 5, 5]) + 1e-9


def test_a_screen_in_front_of_a_landmark_occludes_it():
    """A screen to the left of the left landmark hides it in the left view; the right one is visible from the right."""
    screen = trimesh.creation.box([1, 30, 30]).apply_translation([25, 0, 0])

    found = measure_mesh(mesh_of(BOX, screen), job([[10, 0, 0], [-10, 0, 0]])).labels

    assert found.is_occluded.tolist() == [True, False]


def test_a_measurement_has_the_hash_of_the_file(tmp_path):
    """The hash is that of the file's bytes."""
    file = tmp_path / "a.ply"
    BOX.export(file)

    assert measure(job(uri=str(file))).sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("content", [b"", b"ply\nformat", None])
def test_a_bad_file_is_unread_with_its_reason(tmp_path, content):
    """No error is raised; the reason names the file."""
    file = tmp_path / "a.ply"
    if content is not None:
        file.write_bytes(content)

    found = measure(job(uri=str(file)))

    assert isinstance(found, Unread)
    assert "a.ply" in found.reason
    assert measure_reference(ReferenceJob([(str(file), np.eye(4))])) is None
