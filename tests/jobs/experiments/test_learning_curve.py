import numpy as np
import pytest

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.landmark_table import write_landmarks
from featurelib.datasets.synthetic import LANDMARKS, write_dataset
from featurelib.errors import DataError
from jobs.experiments.drivers.learning_curve import write_excerpt


def excerpt(bodies, count, folder):
    """Write an excerpt and return the splits of its objects by id."""
    write_excerpt(open_dataset(str(bodies)), count, folder)
    table = open_dataset(str(folder)).objects
    return dict(zip(table["object_id"].to_pylist(), table["split"].to_pylist(), strict=True))


def test_smaller_excerpts_are_subsets_with_the_same_test_objects(bodies, tmp_path):
    """Only the number of labels changes along the curve."""
    whole = open_dataset(str(bodies)).objects
    test_ids = {row["object_id"] for row in whole.to_pylist() if row["split"] == "test"}
    few, more = (excerpt(bodies, count, tmp_path / str(count)) for count in (5, 10))

    for splits, count in ((few, 5), (more, 10)):
        assert {object_id for object_id, split in splits.items() if split == "test"} == test_ids
        assert [list(splits.values()).count(split) for split in ("val", "train")] == [2, count - 2]
    assert few.keys() < more.keys()


def test_an_excerpt_keeps_labels_and_meshes(bodies, tmp_path):
    """Its labels are the dataset's, and its meshes can be loaded."""
    excerpt(bodies, 5, tmp_path)
    whole, part = (open_dataset(str(folder)) for folder in (bodies, tmp_path))
    labels = {row["object_id"]: (row["landmarks"], row["absent"]) for row in whole.objects.to_pylist()}

    assert part.landmarks == whole.landmarks
    assert all(labels[row["object_id"]] == (row["landmarks"], row["absent"]) for row in part.objects.to_pylist())
    assert part.load(next(iter(part.files.values()))).faces.size


@pytest.mark.parametrize("count", [2, 13])
def test_an_impossible_number_of_labels_is_one_line(bodies, tmp_path, count):
    """The message has the possible range."""
    with pytest.raises(DataError, match=f"--labels {count}: expected 3 to 12"):
        excerpt(bodies, count, tmp_path)


def test_an_excerpt_of_a_set_keeps_missing_and_absent_landmarks(tmp_path):
    """A landmark that is not labelled, and one that does not exist, are so in the excerpt."""
    write_dataset(tmp_path / "whole", 8, landmarks=LANDMARKS)
    dataset = open_dataset(str(tmp_path / "whole"))
    points = {row["object_id"]: np.reshape(row["landmarks"], (-1, 3)) for row in dataset.objects.to_pylist()}
    absent = {object_id: np.arange(6) == i for i, object_id in enumerate(points)}
    for i, values in enumerate(points.values()):
        values[[i % 6, (i + 1) % 6]] = np.nan
    (tmp_path / "whole" / "landmarks.csv").write_bytes(write_landmarks(LANDMARKS, points, absent))
    dataset = open_dataset(str(tmp_path / "whole"))

    write_excerpt(dataset, 5, tmp_path / "part")

    expected = {row["object_id"]: row for row in dataset.objects.to_pylist()}
    found = open_dataset(str(tmp_path / "part")).objects.to_pylist()
    assert any(any(row["absent"]) for row in found)
    for row in found:
        assert row["absent"] == expected[row["object_id"]]["absent"]
        np.testing.assert_array_equal(row["landmarks"], expected[row["object_id"]]["landmarks"])
