"""Training of a stage's network: Adam with a cosine learning rate, cross-entropy with Gaussians, and the distance.

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

from featurelib.models.refiner.samples import Labels
from featurelib.models.soft_argmax import cell_centres

Batch = tuple[NDArray[np.uint8], Labels]
"""Images (n, s, s, 3) and their labels."""


@dataclass(frozen=True)
class StageRecipe:
    """How to train a stage.

    steps: total number, of one batch each. learning_rate: Adam's highest; it falls to zero along a cosine. warm_up:
    steps in which it rises. sigma_cells: standard deviation of the target map. distance_weight: weight of the distance
    in cells. presence_weight: weight of the cross-entropy of presence. report_steps: steps between two validations.
    """

    steps: int = 3000
    learning_rate: float = 1e-3
    warm_up: int = 100
    sigma_cells: float = 1.0
    distance_weight: float = 0.25
    presence_weight: float = 0.5
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
"""Takes images and labels; returns (mean loss, mean distance, sum of weights) of the batch."""


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
    step, row, sums, num_images, started, begun = 0, None, [], 0, time.monotonic(), time.monotonic()
    while step < recipe.steps:
        before = step
        for images, labels in train_batches():
            sums.append(training.train_step(images, labels))
            num_images += len(images)
            step += 1
            if step % recipe.report_steps == 0 or step == recipe.steps:
                loss, error = _mean(sums)
                rate = num_images / (time.monotonic() - started)
                val_error = _mean(training.val_step(*batch) for batch in val_batches())[1]
                row = StageProgress(step, loss, 100 * error, 100 * val_error, rate, time.monotonic() - begun)
                on_progress(row)
                sums, num_images, started = [], 0, time.monotonic()
            if step == recipe.steps:
                break
        if step == before:
            raise ValueError("train_batches: a pass without batches; expected at least one")
    if row is None:
        raise ValueError(f"{recipe}: expected at least one step")
    return row


def _steps(model: keras.Model, optimizer: keras.optimizers.Optimizer, recipe: StageRecipe) -> tuple[Step, Step]:
    """Return the compiled training and validation steps."""

    def train(images: tf.Tensor, labels: Labels) -> tf.Tensor:
        with tf.GradientTape() as tape:
            sums = _measure(model(tf.cast(images, tf.float32), training=True), labels, recipe)
        optimizer.apply(tape.gradient(sums[0], model.trainable_variables), model.trainable_variables)
        return tf.stack(sums)

    def validate(images: tf.Tensor, labels: Labels) -> tf.Tensor:
        return tf.stack(_measure(model(tf.cast(images, tf.float32), training=False), labels, recipe))

    compiled = [tf.function(step, reduce_retracing=True, autograph=False) for step in (train, validate)]
    return compiled[0], compiled[1]


def _measure(outputs: dict[str, tf.Tensor], labels: Labels, recipe: StageRecipe) -> tuple[tf.Tensor, ...]:
    """Return the mean loss, the mean distance in image widths and the sum of the weights of a batch."""
    losses, distances = _losses(outputs["maps"], labels.xy, recipe)
    total = tf.reduce_sum(labels.weights) + 1e-6
    loss, distance = (tf.reduce_sum(labels.weights * each) / total for each in (losses, distances))
    if "present" in outputs:
        known = tf.cast(tf.math.is_finite(labels.present), tf.float32)
        labelled = tf.where(known > 0, labels.present, 0.0)
        entropies = tf.nn.sigmoid_cross_entropy_with_logits(
            tf.repeat(labelled[:, None], outputs["present"].shape[1], axis=1), outputs["present"]
        )
        entropy = tf.reduce_sum(known * tf.reduce_mean(entropies, axis=1)) / (tf.reduce_sum(known) + 1e-6)
        loss += recipe.presence_weight * entropy
    return loss, distance, total


def _losses(logits: tf.Tensor, xy: tf.Tensor, recipe: StageRecipe) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the loss (n, c) and the distance (n, c) in image widths, each as a mean over the networks.

    The loss is the Kullback-Leibler divergence of the map from a Gaussian at the truth, which is the cross-entropy less
    a constant, plus a share of the distance in cells.
    """
    _, networks, _, size, _ = logits.shape
    centres = tf.constant(cell_centres(size))
    steps = (centres - xy[..., None]) * size / recipe.sigma_cells  # (n, c, 2, size)
    log_bell = tf.nn.log_softmax(-(steps**2) / 2)
    bell = tf.exp(log_bell)
    target = bell[:, None, :, 1, :, None] * bell[:, None, :, 0, None, :]  # (n, 1, c, size, size)
    targets, flat = (
        tf.reshape(maps, (-1, networks, logits.shape[2], size * size))
        for maps in (tf.repeat(target, networks, axis=1), logits)
    )
    entropy = tf.reduce_sum(bell * log_bell, axis=(2, 3))[:, None]
    divergences = tf.nn.softmax_cross_entropy_with_logits(targets, flat) + entropy
    shares = tf.reshape(tf.nn.softmax(flat), tf.shape(logits))
    found = [tf.reduce_sum(tf.reduce_sum(shares, axis) * centres, axis=-1) for axis in (3, 4)]
    offsets = tf.stack(found, axis=-1) - xy[:, None]
    distances = tf.sqrt(tf.reduce_sum(offsets**2, axis=-1) + 1e-12)
    losses = divergences + recipe.distance_weight * size * distances
    return tf.reduce_mean(losses, axis=1), tf.reduce_mean(distances, axis=1)


def _mean(sums: Iterable[tf.Tensor]) -> tuple[float, float]:
    """Return the weighted mean loss and distance of a pass."""
    rows = np.array([s.numpy() for s in sums], dtype=np.float64).reshape(-1, 3)
    loss, distance = np.average(rows[:, :2], axis=0, weights=rows[:, 2]) if len(rows) else (np.nan, np.nan)
    return float(loss), float(distance)
