"""Training of a stage's network: Adam with a cosine learning rate, and the loss of DSNT (Nibali et al. 2018).

The caller provides the samples: `fit_stage` takes functions that open streams of batches.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from featurelib.models.soft_argmax import cell_centres

Batch = tuple[NDArray[np.uint8], NDArray[np.float32]]
"""Images (n, s, s, 3) and the landmark's positions xy (n, 2)."""


@dataclass(frozen=True)
class StageRecipe:
    """How to train a stage.

    steps: total number, of one batch each. learning_rate: Adam's highest; it falls to zero along a cosine. warm_up:
    steps in which it rises. sigma_cells: standard deviation of the regulariser's target map; regularise: weight of the
    regulariser. report_steps: steps between two validations.
    """

    steps: int = 3000
    learning_rate: float = 1e-3
    warm_up: int = 100
    sigma_cells: float = 1.0
    regularise: float = 1.0
    report_steps: int = 500


class StageProgress(NamedTuple):
    """One validation. Errors are mean distances in % of the crop's width."""

    step: int
    loss: float
    error_pct: float
    val_error_pct: float
    images_per_s: float
    seconds: float


Step = Callable[..., tf.Tensor]
"""Takes images and positions; returns (sum of losses, sum of distances, count)."""


class StageTraining(NamedTuple):
    """A model with its recipe, its optimizer and its compiled steps, which all stages of a crop size share."""

    model: keras.Model
    recipe: StageRecipe
    optimizer: keras.optimizers.Optimizer
    train_step: Step
    val_step: Step


def open_training(model: keras.Model, recipe: StageRecipe) -> StageTraining:
    """Compile the training of a model from build_network; the first step of each kind takes 4 to 7 s longer."""
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, recipe.steps - recipe.warm_up, warmup_target=recipe.learning_rate, warmup_steps=recipe.warm_up
    )
    optimizer = keras.optimizers.Adam(schedule)
    optimizer.build(model.trainable_variables)  # otherwise the step creates them, which takes 5 s and a second tracing
    return StageTraining(model, recipe, optimizer, *_steps(model, optimizer, recipe))


def fit_stage(
    training: StageTraining,
    train_batches: Callable[[], Iterable[Batch]],
    val_batches: Callable[[], Iterable[Batch]],
    on_progress: Callable[[StageProgress], None],
) -> StageProgress:
    """Train the model in place, from its present weights, and return the last row of its progress.

    The learning rate ends at zero, so the last weights are the best; no earlier ones are kept.

    Args:
        training: from open_training; its optimizer starts anew.
        train_batches: opens a pass over training samples of one batch size; reopened whenever it ends.
        val_batches: opens a pass over validation samples.
        on_progress: called after each validation.

    Raises:
        ValueError: if a training pass has no batches, or the recipe no steps.
    """
    recipe = training.recipe
    for variable in training.optimizer.variables:
        variable.assign(np.zeros(variable.shape, variable.dtype))
    step, row, sums, started, begun = 0, None, [], time.monotonic(), time.monotonic()
    while step < recipe.steps:
        before = step
        for images, xy in train_batches():
            sums.append(training.train_step(images, xy))
            step += 1
            if step % recipe.report_steps == 0 or step == recipe.steps:
                loss, error, count = _mean(sums)
                rate = count / (time.monotonic() - started)
                val_error = _mean(training.val_step(*batch) for batch in val_batches())[1]
                row = StageProgress(step, loss, 100 * error, 100 * val_error, rate, time.monotonic() - begun)
                on_progress(row)
                sums, started = [], time.monotonic()
            if step == recipe.steps:
                break
        if step == before:
            raise ValueError("train_batches: a pass without batches; expected at least one")
    if row is None:
        raise ValueError(f"{recipe}: expected at least one step")
    return row


def _steps(model: keras.Model, optimizer: keras.optimizers.Optimizer, recipe: StageRecipe) -> tuple[Step, Step]:
    """Return the compiled training and validation steps."""

    def measure(logits: tf.Tensor, xy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        losses, distances = _losses(logits, xy, recipe)
        count = tf.cast(tf.shape(xy)[0], tf.float32)
        return tf.reduce_mean(losses), tf.stack([tf.reduce_sum(losses), tf.reduce_sum(distances), count])

    def train(images: tf.Tensor, xy: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss, sums = measure(model(tf.cast(images, tf.float32), training=True), xy)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return sums

    def validate(images: tf.Tensor, xy: tf.Tensor) -> tf.Tensor:
        return measure(model(tf.cast(images, tf.float32), training=False), xy)[1]

    compiled = [tf.function(step, reduce_retracing=True, autograph=False) for step in (train, validate)]
    return compiled[0], compiled[1]


def _losses(logits: tf.Tensor, xy: tf.Tensor, recipe: StageRecipe) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the loss (n,) and the distance (n,) in image widths, each as a mean over the networks.

    The loss is the distance in cells plus the Jensen-Shannon divergence between the map and a Gaussian at the truth.
    """
    _, networks, size, _ = logits.shape
    centres = tf.constant(cell_centres(size))
    xy = tf.repeat(xy, networks, axis=0)
    shares = tf.reshape(tf.nn.softmax(tf.reshape(logits, (-1, size * size))), (-1, size, size))
    found = tf.stack(
        [tf.linalg.matvec(tf.reduce_sum(shares, 1), centres), tf.linalg.matvec(tf.reduce_sum(shares, 2), centres)], 1
    )
    distances = tf.sqrt(tf.reduce_sum((found - xy) ** 2, axis=1) + 1e-12)
    steps = (centres - xy[:, :, None]) * size / recipe.sigma_cells  # (n, 2, size)
    bell = tf.exp(-(steps**2) / 2)
    bell /= tf.reduce_sum(bell, axis=2, keepdims=True) + 1e-9
    target = bell[:, 1, :, None] * bell[:, 0, None, :]
    losses = distances * size + recipe.regularise * _jensen_shannon(shares, target)
    return tuple(tf.reduce_mean(tf.reshape(each, (-1, networks)), axis=1) for each in (losses, distances))


def _jensen_shannon(p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    """Return the Jensen-Shannon divergences (n,), in nats, of maps (n, h, w)."""
    middle = (p + q) / 2
    log_middle = tf.math.log(middle + 1e-12)
    halves = [tf.reduce_sum(m * (tf.math.log(m + 1e-12) - log_middle), axis=(1, 2)) for m in (p, q)]
    return (halves[0] + halves[1]) / 2


def _mean(sums: Iterable[tf.Tensor]) -> tuple[float, float, int]:
    """Return the mean loss, the mean distance and the count of a pass."""
    loss, distance, count = sum((s.numpy().astype(np.float64) for s in sums), np.zeros(3))
    return float(loss / max(count, 1)), float(distance / max(count, 1)), int(count)
