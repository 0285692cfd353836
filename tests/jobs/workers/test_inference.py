"""A run's methods on objects whose detector does not tell left from right."""

from dataclasses import replace

import numpy as np

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.shards import open_renders
from featurelib.models.lifter.files import lifter_version
from featurelib.models.lifter.vectors import read_vectors
from jobs.workers.inference import PredictorKey, mesh_files, predict_all


def test_a_detector_without_sides_gives_predictions(cluster, run, bodies):
    """Its one position counts for the nearer instance; every method gives finite numbers."""
    dataset, manifest = open_dataset(str(bodies)), open_renders(str(run), "orthographic")
    vectors = replace(read_vectors(str(run), "orthographic").where("test"), landmarks_xy=np.nan)
    key = PredictorKey(str(run), manifest.spec, manifest.landmarks, lifter_version(str(run), "orthographic"))
    found = predict_all("test", dataset, key, mesh_files(dataset, vectors.object_ids), vectors)

    assert len(found) == len(vectors) == 2
    for of_one in found:
        for landmarks_mm in of_one.prediction.estimates_mm.values():
            assert np.isfinite(landmarks_mm).all()
        assert np.isfinite(of_one.prediction.uncertainty.sigma_mm).all()


def test_one_position_is_used_for_both_instances(run):
    """A detector that tells the sides apart keeps its own positions."""
    vectors = read_vectors(str(run), "orthographic")
    one_position = replace(vectors, landmarks_xy=np.nan)

    np.testing.assert_array_equal(vectors.seen_xy, vectors.landmarks_xy)
    for k in range(2):
        np.testing.assert_array_equal(one_position.seen_xy[:, :, k], vectors.xy[:, 0])
