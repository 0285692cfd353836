"""The plan of a stage's samples."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from featurelib.datasets.dataset import Dataset, MeshFile, open_dataset
from featurelib.models.refiner.directions import PAIR_VIEWS, Directions
from featurelib.models.refiner.plan import OBJECTS_AT_ONCE, SamplePlan
from featurelib.models.refiner.sides import training_sides
from featurelib.models.refiner.stages import CropSize, InitialErrors


@pytest.fixture(scope="module")
def plan(bodies) -> SamplePlan:
    """Samples of all bodies, with landmarks in the object frame."""
    dataset: Dataset = open_dataset(str(bodies))
    points = np.array(dataset.objects["landmarks"].to_pylist(), np.float64).reshape(len(dataset.files), -1, 3)
    to_object = dataset.object_from_source
    landmarks_mm = points @ to_object[:3, :3].T + to_object[:3, 3]
    initial_errors = InitialErrors(np.empty((0, 3)), 4.0)
    absent, sides = np.zeros(landmarks_mm.shape[:2], bool), training_sides(dataset.landmarks)
    directions = Directions(PAIR_VIEWS, np.ones((sides.num_channels, len(PAIR_VIEWS)), bool))
    meshes, settings = tuple(dataset.files.values()), (CropSize(80.0, 32), initial_errors, 48, 25)
    return SamplePlan(dataset, meshes, landmarks_mm, absent, sides, directions, *settings)


def test_the_segments_hold_exactly_the_planned_batches(plan) -> None:
    sizes = [len(batch.images) for segment in range(plan.num_segments) for batch in plan.batches(segment)]

    assert sizes == [48] * 25


def test_each_pass_takes_every_object_once_in_a_new_order(plan) -> None:
    many = replace(plan, meshes=plan.meshes * 5, num_batches=10_000)  # 70 objects
    parts = -(-len(many.meshes) // OBJECTS_AT_ONCE)
    passes = [[many.objects(n) for n in range(parts * i, parts * (i + 1))] for i in range(2)]

    for number, segments in enumerate(passes):
        assert {one_pass for one_pass, _ in segments} == {number}
        assert Counter(i for _, objects in segments for i in objects.tolist()) == Counter(range(70))
    assert not np.array_equal(passes[0][0][1], passes[1][0][1])


def test_samples_depend_only_on_the_seed(plan) -> None:
    """The same seed gives the same bytes; another seed or segment gives others."""
    first, again, other = plan.draw(0), plan.draw(0), replace(plan, seed=(1,)).draw(0)

    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.labels.xy, again.labels.xy)
    for drawn in (other, plan.draw(1)):
        assert not np.isin(drawn.labels.xy, first.labels.xy).any()


def test_objects_without_labels_have_no_crops(plan) -> None:
    """One landmark of one object is labelled; the crops of all others are those of this one."""
    only = np.full_like(plan.landmarks_mm, np.nan)
    only[3, 0] = plan.landmarks_mm[3, 0]
    drawn = replace(plan, landmarks_mm=only).draw(0)

    assert len(drawn.images) == len(drawn.labels.xy) == len(plan.draw(0).images)
    assert (drawn.labels.weights.sum(axis=1) == 2).all()
    assert list(replace(plan, landmarks_mm=np.full_like(only, np.nan)).batches(0)) == []


def test_a_mesh_that_cannot_be_read_is_reported_and_replaced(plan) -> None:
    broken = replace(plan, meshes=(MeshFile("gone.ply"), *plan.meshes[1:]))
    drawn = broken.draw(0)

    assert len(drawn.images) == len(plan.draw(0).images)
    [reason] = drawn.skipped
    assert "gone.ply" in reason
    assert [len(batch.skipped) for batch in broken.batches(0)] == [1] + [0] * 9


def test_without_any_mesh_there_are_no_batches(plan) -> None:
    nothing = replace(plan, meshes=(MeshFile("gone.ply"),), landmarks_mm=plan.landmarks_mm[:1])

    assert list(nothing.batches(0)) == []
    assert len(nothing.draw(0).skipped) == 1
