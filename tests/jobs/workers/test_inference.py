"""What a run's methods say of objects whose detector does not tell left from right."""

from dataclasses import replace

import numpy as np

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.shards import open_renders
from featurelib.models.lifter.files import lifter_version
from featurelib.models.lifter.vectors import read_vectors
from jobs.workers.inference import PredictorKey, find_all, mesh_files


def test_a_detector_that_tells_no_sides_apart_has_answers_too(cluster, run, bodies):
    """Its one position counts for the nearer instance: every method that is asked for answers with numbers."""
    dataset, spec = open_dataset(str(bodies)), open_renders(str(run), "orthographic").spec
    vectors = replace(read_vectors(str(run), "orthographic").where("test"), pair_xy=np.nan)
    key = PredictorKey(str(run), spec, lifter_version(str(run), "orthographic"))
    found = find_all("test", dataset, key, mesh_files(dataset, vectors.object_ids), vectors)

    assert len(found) == len(vectors) == 2
    for of_one in found:
        for pair_mm in of_one.answer.pairs_mm.values():
            assert np.isfinite(pair_mm).all()
        assert np.isfinite(of_one.answer.uncertainty.sigma_mm).all()


def test_one_position_stands_for_both(run):
    """Where the sides are told apart, what was said is left alone."""
    vectors = read_vectors(str(run), "orthographic")
    untold = replace(vectors, pair_xy=np.nan)

    np.testing.assert_array_equal(vectors.seen_xy, vectors.pair_xy)
    np.testing.assert_array_equal(untold.seen_xy[:, :, 0], vectors.xy)
    np.testing.assert_array_equal(untold.seen_xy[:, :, 1], vectors.xy)
