"""Training in two phases: the head on a frozen backbone, then everything at a lower rate.

Where the pictures come from and how many workers share the step is the caller's business: `fit` takes two
functions that open a stream of batches, and a TensorFlow distribution strategy.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from featurelib.detector.network import freeze_backbone

Batch = tuple[NDArray[np.uint8], NDArray[np.float32]]
"""Pictures (n, s, s, 3) and near positions xy (n, 2)."""


@dataclass(frozen=True)
class Recipe:
    """How to train. Rates and batch size are global: they do not depend on the number of workers.

    epochs: of both phases together. frozen_epochs: of the first. batch_size: over all workers.
    head_rate, tune_rate: Adam's learning rate in each phase. patience: epochs without a better validation loss.
    keep_statistics: hold the backbone's BatchNorm statistics; false when it starts untrained.
    """

    epochs: int = 60
    frozen_epochs: int = 15
    batch_size: int = 32
    head_rate: float = 1e-3
    tune_rate: float = 1e-4
    patience: int = 15
    keep_statistics: bool = True


class Epoch(NamedTuple):
    """One row of metrics.csv. Losses are mean squared errors without the L2 terms; errors in % of the width."""

    epoch: int
    phase: str
    loss: float
    val_loss: float
    error_pct: float
    val_error_pct: float
    images_per_s: float
    seconds: float


def fit(
    model: keras.Model,
    recipe: Recipe,
    train_batches: Callable[[], Iterable[Batch]],
    val_batches: Callable[[], Iterable[Batch]],
    on_epoch: Callable[[Epoch], None],
    strategy: tf.distribute.Strategy | None = None,
) -> Epoch:
    """Train `model` in place, leave the best weights in it and return the epoch they are from.

    Args:
        model: from build_detector, made in the strategy's scope.
        recipe: how.
        train_batches: opens one pass over this worker's share of the training samples.
        val_batches: likewise of the validation samples; called after train_batches, in turn.
        on_epoch: called after each epoch.
        strategy: shares each step among workers; None for one worker without overhead.
    """
    strategy = strategy or tf.distribute.get_strategy()
    best, best_weights = None, None
    for phase, epochs in _phases(recipe):
        freeze_backbone(model, phase == "frozen", keep_statistics=recipe.keep_statistics)
        with strategy.scope():
            optimizer = keras.optimizers.Adam(recipe.head_rate if phase == "frozen" else recipe.tune_rate)
            optimizer.build(model.trainable_variables)
        train_step, val_step = _steps(model, optimizer, strategy, recipe.batch_size)
        for epoch in epochs:
            started = time.monotonic()
            loss, error, count = _mean(train_step(*batch) for batch in train_batches())
            seconds = time.monotonic() - started
            val_loss, val_error, _ = _mean(val_step(*batch) for batch in val_batches())
            row = Epoch(
                epoch, phase, loss, val_loss, 100 * error, 100 * val_error, count / seconds, time.monotonic() - started
            )
            on_epoch(row)
            if best is None or row.val_loss < best.val_loss:
                best, best_weights = row, model.get_weights()
            elif row.epoch - best.epoch >= recipe.patience:
                break
    if best is None or best_weights is None:
        raise ValueError(f"recipe {recipe} has no epochs")
    model.set_weights(best_weights)
    return best


def _phases(recipe: Recipe) -> Iterator[tuple[str, range]]:
    frozen = min(recipe.frozen_epochs, recipe.epochs) if recipe.keep_statistics else 0
    if frozen:
        yield "frozen", range(frozen)
    yield "tune", range(frozen, recipe.epochs)


def _steps(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, strategy: tf.distribute.Strategy, batch_size: int
) -> tuple[Callable[..., tf.Tensor], Callable[..., tf.Tensor]]:
    """Return the two compiled steps; each gives (sum of squared errors, sum of distances, count) over all workers."""

    def measure(xy: tf.Tensor, predicted: tf.Tensor) -> tf.Tensor:
        squares = tf.reduce_sum((xy - predicted) ** 2, axis=-1)
        return tf.stack(
            [tf.reduce_sum(squares) / 2, tf.reduce_sum(tf.sqrt(squares)), tf.cast(tf.shape(xy)[0], tf.float32)]
        )

    def train(pictures: tf.Tensor, xy: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            predicted = model(pictures, training=True)
            squared = tf.reduce_sum((xy - predicted) ** 2) / (2 * batch_size)
            loss = squared + tf.add_n(model.losses) / strategy.num_replicas_in_sync
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)  # sums the gradients over the workers
        return measure(xy, predicted)

    def validate(pictures: tf.Tensor, xy: tf.Tensor) -> tf.Tensor:
        return measure(xy, model(pictures, training=False))

    def over_workers(step: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
        if strategy.num_replicas_in_sync == 1:
            return tf.function(step, reduce_retracing=True)
        return tf.function(
            lambda *batch: strategy.reduce("SUM", strategy.run(step, args=batch), axis=None), reduce_retracing=True
        )

    return over_workers(train), over_workers(validate)


def _mean(sums: Iterable[tf.Tensor]) -> tuple[float, float, int]:
    """Return the mean squared error, the mean distance and the count of a pass."""
    squared, distance, count = sum((s.numpy().astype(np.float64) for s in sums), np.zeros(3))
    return squared / max(count, 1), distance / max(count, 1), int(count)
