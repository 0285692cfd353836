import re

import numpy as np
import pytest

from featurelib.datasets.synthetic import EAR_TIPS, LANDMARKS, make_body
from featurelib.errors import UsageError
from featurelib.labelling.suspects import Suspect
from jobs.experiments.drivers.label_mistakes import shares_found
from jobs.experiments.drivers.planted_mistakes import KINDS, Planted, plant_in_labels, plant_in_objects, slipped
from jobs.experiments.label_mistakes import LabelMistakesConfig, label_mistakes


@pytest.fixture(scope="module")
def bodies_with_sets():
    """Meshes and labels (10, 6, 3) of small bodies."""
    meshes = [make_body(i, resolution_mm=12, landmarks=LANDMARKS) for i in range(10)]
    return meshes, np.array([mesh.landmarks_mm for mesh in meshes])


def test_each_kind_is_planted_as_often_as_the_others(bodies_with_sets):
    """Only labels with a kind differ, and those that are exchanged are a permutation of the right ones."""
    meshes, labels_mm = bodies_with_sets
    planted = plant_in_labels(LANDMARKS, labels_mm, meshes, 12, 5.0, np.random.default_rng(0))

    assert [(planted.kinds == i).sum() for i in range(len(KINDS))] == [4, 4, 2, 2]
    assert ((planted.labels_mm != labels_mm).any(axis=2) == (planted.kinds >= 0)).all()
    of_objects = plant_in_objects(LANDMARKS, labels_mm, meshes, 8, 5.0, np.random.default_rng(0))
    assert sorted(of_objects.kinds.max(axis=1)) == [-1, -1, 0, 0, 1, 1, 2, 2, 3, 3]


def test_a_slip_stays_on_the_surface(bodies_with_sets):
    """It is about 5 mm long."""
    meshes, labels_mm = bodies_with_sets
    moved = slipped(meshes[0], labels_mm[0], 5.0, np.random.default_rng(0))

    assert np.linalg.norm(moved - labels_mm[0], axis=1) == pytest.approx(np.full(6, 5.0), abs=1.5)


def test_named_labels_are_counted_up_to_the_share():
    """The first suspect names a label, the second all labels of an object, and the third is one too many."""
    kinds = np.full((10, 2), -1)
    kinds[0, 0], kinds[1], kinds[2, 1] = 2, 3, 2
    found = [Suspect("0", EAR_TIPS.names[0], "misplaced", 9, ""), Suspect("1", None, "another object", 8, "")]
    found.append(Suspect("2", EAR_TIPS.names[1], "misplaced", 7, ""))

    shares = shares_found(EAR_TIPS, Planted(np.zeros((10, 2, 3)), kinds), found, 0.15, whole=False)

    assert shares.tolist()[2:] == [0.5, 1.0]
    assert np.isnan(shares[:2]).all()


def test_too_few_objects_are_named(bodies):
    """The error names the dataset and the flag."""
    with pytest.raises(UsageError, match=re.escape("--objects 200")):
        label_mistakes(LabelMistakesConfig(dataset=str(bodies)))
