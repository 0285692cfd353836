"""Two workers give the same training as one."""

from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

STEPS, BATCH, SIZE = 20, 16, 64

RATES = {"held": 1e-3, "learnt": 1e-5}
"""Learning rate for fixed and for learnt BatchNorm statistics. With statistics learnt from 16 images, an untrained
network is chaotic, since Adam's first step is the sign of the gradient: after five steps at 1e-3, the loss depended on
rounding. So there, two workers are compared with one worker with reordered images, which differs by rounding only."""


@pytest.fixture(scope="module")
def trained(cluster, tmp_path_factory):
    """By number of workers: each worker's losses and its weights after STEPS steps, by key of RATES."""
    return {workers: _train(workers, str(tmp_path_factory.mktemp("train"))) for workers in (1, 2)}


def _train(workers, folder):
    import ray.train
    from ray.train.tensorflow import TensorflowTrainer

    def work():
        import pathlib

        import keras
        import numpy as np
        import tensorflow as tf

        from featurelib.geometry import LandmarkSet
        from featurelib.models.detector.heads import HEADS
        from featurelib.models.detector.network import build_detector, synchronise_statistics
        from featurelib.models.detector.recipe import Recipe
        from featurelib.models.detector.samples import Labels
        from featurelib.models.detector.training import open_phase

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        strategy = tf.distribute.MultiWorkerMirroredStrategy() if workers > 1 else tf.distribute.get_strategy()
        rank = ray.train.get_context().get_world_rank()
        share = slice(rank * BATCH // workers, (rank + 1) * BATCH // workers)
        kinds = (np.float32, np.float32, np.int32, np.float32, np.float32)
        orders = [(name, rate, 1) for name, rate in RATES.items()] + [("reordered", RATES["learnt"], -1)]
        for name, rate, order in orders:
            keras.utils.set_random_seed(0)
            with strategy.scope():
                model = build_detector(
                    LandmarkSet.single_pair("ear"), head="regression", alpha=0.35, input_size=SIZE, weights="none"
                )
            if workers > 1:
                synchronise_statistics(model)
            for layer in model.layers:
                if isinstance(layer, keras.layers.Dropout):
                    layer.rate = 0.0
            recipe = Recipe(batch_size=BATCH, finetune_learning_rate=rate, frozen_epochs=0, pretrained=name == "held")
            phase = open_phase(model, HEADS["regression"], recipe, 0, strategy)
            rng, losses = np.random.default_rng(0), []
            for _ in range(STEPS):
                images = rng.integers(0, 256, (BATCH, SIZE, SIZE, 1)).astype(np.uint8)
                points, near, ones = rng.random((BATCH, 2, 2)), rng.integers(0, 2, (BATCH, 1)), np.ones((BATCH, 2))
                labels = (points, ones, near, ones, np.ones(BATCH))
                mine = Labels(*(part[share][::order].astype(kind) for part, kind in zip(labels, kinds, strict=True)))
                losses.append(phase.train_step(images[share][::order], mine).numpy())
            np.savez(pathlib.Path(folder, f"{name}-{rank}.npz"), np.array(losses), *(w.numpy() for w in model.weights))

    TensorflowTrainer(
        work, scaling_config=ray.train.ScalingConfig(num_workers=workers, resources_per_worker={"CPU": 0.5})
    ).fit()
    return {name: [_result(folder, name, rank) for rank in range(workers)] for name in (*RATES, "reordered")}


def _result(folder, name, rank):
    with np.load(Path(folder, f"{name}-{rank}.npz")) as arrays:
        losses, *weights = (arrays[key] for key in arrays.files)
    return losses, weights


def test_two_workers_have_the_losses_of_one(trained):
    """With the same global batches, the loss of each of the first 20 steps is the same to 1e-4."""
    [(one, _)], two = trained[1]["held"], sum(losses for losses, _ in trained[2]["held"])

    np.testing.assert_allclose(two[:, 0], one[:, 0], rtol=1e-4)
    assert (two[:, 1] == BATCH).all()


@pytest.mark.parametrize("statistics", RATES)
def test_both_workers_end_with_the_same_weights(trained, statistics):
    """All weights are identical after 20 steps, BatchNorm's moving statistics included."""
    (_, first), (_, second) = trained[2][statistics]

    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_two_workers_have_the_weights_of_one(trained):
    """Over 20 of Adam's steps no weight drifts by more than a step's length."""
    [(_, one)], (_, two) = trained[1]["held"], trained[2]["held"][0]

    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=RATES["held"])


def test_batch_norm_learns_from_all_workers(trained):
    """Its first statistics are of both workers' images; what then drifts is rounding, as in one worker reordered."""
    [(one, weights)], [(reordered, others)] = trained[1]["learnt"], trained[1]["reordered"]
    two = sum(losses for losses, _ in trained[2]["learnt"])

    np.testing.assert_allclose(two[0, 0], one[0, 0], rtol=1e-4)
    assert np.abs(two - one)[:, 0].mean() <= 3 * np.abs(reordered - one)[:, 0].mean()
    drift, rounding = (
        np.mean([np.abs(a - b).mean() for a, b in zip(weights, found, strict=True)])
        for found in (trained[2]["learnt"][0][1], others)
    )
    assert drift <= 3 * rounding
