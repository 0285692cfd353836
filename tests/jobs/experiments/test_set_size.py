import re
from itertools import pairwise

import numpy as np
import pytest

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.synthetic import LANDMARKS, write_dataset
from featurelib.errors import DataError
from featurelib.evaluation.figures import svg
from jobs.experiments.drivers.excerpts import write_subset
from jobs.experiments.drivers.set_size import Measured, growth_plot, nested_subsets


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Two bodies with two pairs and two midline landmarks."""
    folder = tmp_path_factory.mktemp("bodies")
    write_dataset(folder, 2, landmarks=LANDMARKS)
    return open_dataset(str(folder))


def test_larger_subsets_contain_smaller_ones(dataset):
    """They have whole pairs, the largest is the set, and the first landmark is in all."""
    subsets = nested_subsets(dataset, (1, 2, 3, 4), ("chin",))

    names = [set(subset.names) for _, subset in subsets]
    assert names[0] == {"chin"}
    assert all(fewer < more for fewer, more in pairwise(names))
    assert all(len(subset.pairs) + len(subset.midline) == count for count, subset in subsets)
    assert subsets[-1][1] == LANDMARKS
    assert subsets == nested_subsets(dataset, (1, 2, 3, 4), ("chin",))


@pytest.mark.parametrize(("counts", "first", "fault"), [((5,), (), "expected 1 to 4"), ((1,), ("ear",), "--first ear")])
def test_an_impossible_subset_is_one_line(dataset, counts, first, fault):
    """The message has the flag."""
    with pytest.raises(DataError, match=fault):
        nested_subsets(dataset, counts, first)


def test_a_subset_has_the_labels_of_its_landmarks(dataset, tmp_path):
    """By name, in another order of columns."""
    ((_, subset),) = nested_subsets(dataset, (2,), ("chin",))
    write_subset(dataset, dataset.objects.to_pylist(), subset, tmp_path)

    part = open_dataset(str(tmp_path))
    assert part.landmarks == subset
    for whole, row in zip(dataset.objects.to_pylist(), part.objects.to_pylist(), strict=True):
        labels = dict(zip(dataset.landmarks.names, np.reshape(whole["landmarks"], (-1, 3)), strict=True))
        expected = [labels[name] for name in subset.names]
        np.testing.assert_array_equal(np.reshape(row["landmarks"], (-1, 3)), expected)
        assert row["split"] == whole["split"]


def test_the_plot_has_multiples_of_the_smallest_subset():
    """Its description has the largest subset's."""
    found = [Measured(1, 2, 10.0, 200.0, 0.4, 0.9, 0.4), Measured(43, 76, 25.0, 800.0, 0.5, 1.2, 0.5)]

    text = svg(growth_plot(found), "set-size", "growth")

    assert "CPU per object 4.0 times, minutes of the pipeline 2.5 times, median error 1.2 times" in text
    assert len(re.findall(r'<g id="line2d_', text)) > len(found)
