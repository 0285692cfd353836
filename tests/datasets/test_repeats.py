"""Second marks of the same landmarks, and the distance between them."""

import shutil

import numpy as np
import pytest

from featurelib.datasets.annotation_history import read_marks
from featurelib.datasets.annotations import read_label, save_label
from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.repeats import floor_mm, repeat_distances, save_repeat
from featurelib.datasets.synthetic import LANDMARKS, write_dataset
from featurelib.geometry import Alignment

K = len(LANDMARKS.names)
NONE = np.full((K, 3), np.nan)
ALIGNMENT = Alignment(((0.9, 0.1, -0.3, 0.2),), scale=2.0)


@pytest.fixture(scope="module")
def bodies(tmp_path_factory):
    """Two bodies in cm, with axes and a scale of their own."""
    folder = tmp_path_factory.mktemp("bodies")
    write_dataset(folder, 2, landmarks=LANDMARKS, unit="cm", alignment=ALIGNMENT)
    return folder


@pytest.fixture
def dataset(bodies, tmp_path):
    """A copy of the bodies."""
    return open_dataset(str(shutil.copytree(bodies, tmp_path / "bodies")))


def test_the_distance_is_in_the_objects_millimetres(dataset):
    """A repeat 3, 4, 12 source units away from each label is 13 cm times the alignment's scale away."""
    label = read_label(dataset.uri, LANDMARKS, "body-00000")
    save_repeat(dataset.uri, LANDMARKS, "body-00000", label.points + np.array([3, 4, 12]))
    found = repeat_distances(dataset)

    assert [(one.object_id, one.landmark) for one in found] == [("body-00000", name) for name in LANDMARKS.names]
    np.testing.assert_allclose([one.distance_mm for one in found], 13 * 10 * 2.0, rtol=1e-6)
    assert repeat_distances(dataset, "body-00000") == found
    assert repeat_distances(dataset, "body-00001") == []
    assert read_label(dataset.uri, LANDMARKS, "body-00000").version == label.version


def test_a_label_that_depends_on_what_was_shown_is_no_independent_mark(dataset):
    """Of an accepted and a corrected label only the repeats count; of a fresh and an imported one the label, too."""
    label = read_label(dataset.uri, LANDMARKS, "body-00000")
    accepted, corrected, marked, imported = LANDMARKS.names[:4]
    moved = label.points.copy()
    moved[:3] += 1
    sources = {accepted: "proposal", corrected: "corrected", marked: "marked"}
    save_label(dataset.uri, LANDMARKS, "body-00000", moved, label.absent, label.version, sources)
    for step in (0.1, 0.2):
        repeat = NONE.copy()
        repeat[:4] = moved[:4] + np.array([step, 0, 0])
        save_repeat(dataset.uri, LANDMARKS, "body-00000", repeat)
    counts = dict.fromkeys(LANDMARKS.names[:4], 0)
    for one in repeat_distances(dataset):
        counts[one.landmark] += 1

    assert counts == {accepted: 1, corrected: 1, marked: 3, imported: 3}


def test_an_absent_or_removed_label_leaves_the_repeats(dataset):
    """Two repeats of a landmark without a position have the distance between them."""
    label = read_label(dataset.uri, LANDMARKS, "body-00000")
    save_label(dataset.uri, LANDMARKS, "body-00000", NONE, [True] + [False] * (K - 1), label.version)
    for step in (0.0, 0.5):
        repeat = NONE.copy()
        repeat[:2] = label.points[:2] + np.array([step, 0, 0])
        save_repeat(dataset.uri, LANDMARKS, "body-00000", repeat)

    np.testing.assert_allclose([one.distance_mm for one in repeat_distances(dataset)], [10.0, 10.0], rtol=1e-6)


def test_the_same_repeat_counts_once(dataset):
    """A save that is sent again does not make the marks look better than they are."""
    label = read_label(dataset.uri, LANDMARKS, "body-00000")
    for _ in range(3):
        save_repeat(dataset.uri, LANDMARKS, "body-00000", label.points + 1 / 3)

    assert len(repeat_distances(dataset)) == K
    assert len(read_marks(dataset.uri)) == K


def test_the_floor_is_the_error_of_a_single_mark():
    """Marks with errors of 0.4 mm along each axis: the true points have the errors that the floor says."""
    random = np.random.default_rng(0)
    true = random.uniform(-50, 50, (20_000, 3))
    first, second = (true + random.normal(0, 0.4, true.shape) for _ in range(2))
    floor = floor_mm(np.linalg.norm(first - second, axis=1))
    error = np.linalg.norm(first - true, axis=1)

    for q in (50, 95):
        assert np.percentile(floor, q) == pytest.approx(np.percentile(error, q), rel=0.02)
