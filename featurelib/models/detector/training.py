"""Training in two phases: an optional first phase trains the head on a frozen backbone, the second trains everything.

The caller provides the samples and the workers: `fit` takes two functions that open a pass over a worker's batches, and
a TensorFlow distribution strategy.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.models.detector.checkpoint import Checkpoint, Epoch
from featurelib.models.detector.heads import Head
from featurelib.models.detector.network import freeze_backbone, widen
from featurelib.models.detector.recipe import WARM_UP, Recipe
from featurelib.models.detector.samples import Batch, Labels

Pass = Callable[[int], Iterable[Batch]]
"""Opens a worker's batches of an epoch, all of one size."""

NOTICE_STEPS = 16
"""Steps between two questions whether a preemption is announced, at which all workers wait for each other."""

Step = Callable[..., tf.Tensor]
"""Takes images and labels; returns the sums of a worker's share: losses, their weights, distances, their weights."""


def is_over(recipe: Recipe, checkpoint: Checkpoint | None) -> bool:
    """Return whether a training has run all its epochs, or none of the last `patience` epochs was the best."""
    if checkpoint is None or not checkpoint.rows:
        return False
    last = checkpoint.next_epoch - 1
    return last + 1 >= recipe.epochs or last - checkpoint.best_row.epoch >= recipe.patience


@dataclass(eq=False)
class Phase:
    """The optimizer and the compiled steps of a phase."""

    name: str
    optimizer: keras.optimizers.Optimizer
    train_step: Step
    val_step: Step


def fit(
    model: keras.Model,
    head: Head,
    recipe: Recipe,
    train_pass: Pass,
    val_pass: Pass,
    save: Callable[[Checkpoint], None],
    strategy: tf.distribute.Strategy | None = None,
    checkpoint: Checkpoint | None = None,
    is_preempted: Callable[[], bool] = lambda: False,
) -> Epoch:
    """Train `model` in place, set its best weights and return their epoch.

    Args:
        model: from build_detector, made in the strategy's scope.
        head: of the model.
        recipe: how to train.
        train_pass: opens an epoch's training batches.
        val_pass: opens an epoch's validation batches; called after train_pass.
        save: called after each epoch, and once in an epoch in which a preemption is announced, with the checkpoint,
            which is equal on all workers. Figures of an epoch that was resumed are of the steps since then.
        strategy: distributes each step over the workers; None for a single worker.
        checkpoint: state to resume from; None for a new training.
        is_preempted: returns whether a worker is about to be lost; called by all workers after the same steps.

    Raises:
        ValueError: if the recipe has no epochs, or a pass has no samples.
        DataError: if no sample has a position that the head is measured on.
    """
    strategy = strategy or tf.distribute.get_strategy()
    phase, state = None, checkpoint or Checkpoint()
    while not is_over(recipe, state):
        epoch = state.next_epoch
        if phase is None or phase.name != recipe.phase(epoch):
            phase = open_phase(model, head, recipe, epoch, strategy)
            if state.variables:
                _restore(model, phase, state, recipe)
        state_after = partial(_state_after, model, phase, state)
        batches = _after(train_pass(epoch), state.steps, is_preempted, partial(_save, save, state_after))
        row = _run_epoch(epoch, phase, batches, partial(val_pass, epoch), strategy)
        is_best = not state.rows or row.val_error_pct < state.best_row.val_error_pct
        best = _arrays(model.weights) if is_best else state.best
        state = replace(state_after(0), rows=(*state.rows, row), best=best)
        save(state)
    if not state.rows:
        raise ValueError(f"{recipe}: expected at least one epoch")
    model.set_weights(list(state.best))
    return state.best_row


def _state_after(model: keras.Model, phase: Phase, state: Checkpoint, steps: int) -> Checkpoint:
    """Return the state after some steps of the epoch that follows `state`."""
    return Checkpoint(state.rows, _arrays(model.variables), _arrays(phase.optimizer.variables), state.best, steps)


def _save(save: Callable[[Checkpoint], None], state_after: Callable[[int], Checkpoint], steps: int) -> None:
    save(state_after(steps))


def _after(
    batches: Iterable[Batch], first: int, is_preempted: Callable[[], bool], save: Callable[[int], None]
) -> Iterator[Batch]:
    """Yield the batches of an epoch after its first steps; save once, with the steps done, before a preemption."""
    is_saved = False
    for steps, batch in enumerate(batches):
        if steps < first:
            continue
        if steps > first and steps % NOTICE_STEPS == 0 and not is_saved and is_preempted():
            save(steps)
            is_saved = True
        yield batch


def open_phase(model: keras.Model, head: Head, recipe: Recipe, epoch: int, strategy: tf.distribute.Strategy) -> Phase:
    """Freeze the layers that the phase of an epoch freezes, and compile its steps."""
    name = recipe.phase(epoch)
    freeze_backbone(
        model, name == "frozen", keep_statistics=recipe.pretrained, to=recipe.frozen_to if recipe.pretrained else None
    )
    with strategy.scope():
        optimizer = keras.optimizers.Adam(
            recipe.head_learning_rate if name == "frozen" else _finetune_learning_rate(recipe)
        )
        optimizer.build(model.trainable_variables)

    def measure(outputs: tf.Tensor, labels: Labels) -> tuple[tf.Tensor, tf.Tensor]:
        loss, distances = tf.reduce_sum(labels.weight * head.losses(outputs, labels)), head.distances(outputs, labels)
        measured = tf.where(tf.math.is_nan(distances), 0.0, labels.weight)
        distance = tf.reduce_sum(tf.math.multiply_no_nan(distances, measured))
        return loss, tf.stack([loss, tf.reduce_sum(labels.weight), distance, tf.reduce_sum(measured)])

    def train(images: tf.Tensor, labels: Labels) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss, sums = measure(model(widen(images), training=True), labels)
            total = loss / recipe.batch_size + sum(model.losses) / strategy.num_replicas_in_sync
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(total, variables), variables)  # sums the gradients over the workers
        return sums

    def validate(images: tf.Tensor, labels: Labels) -> tf.Tensor:
        return measure(model(widen(images), training=False), labels)[1]

    compiled = [_on_workers(step, strategy, recipe.compiled) for step in (train, validate)]
    return Phase(name, optimizer, *compiled)


def _finetune_learning_rate(recipe: Recipe) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if not recipe.steps:
        return recipe.finetune_learning_rate
    warm_up, top = max(1, round(WARM_UP * recipe.steps)), recipe.finetune_learning_rate
    falling = max(1, recipe.steps - warm_up)
    return keras.optimizers.schedules.CosineDecay(0.0, falling, alpha=0.01, warmup_target=top, warmup_steps=warm_up)


def _on_workers(
    step: Callable[..., tf.Tensor], strategy: tf.distribute.Strategy, xla: bool
) -> Callable[..., tf.Tensor]:
    compiled = tf.function(step, reduce_retracing=True, autograph=False, jit_compile=xla or None)
    if strategy.num_replicas_in_sync == 1:
        return compiled
    return tf.function(lambda *batch: strategy.run(step, args=batch), reduce_retracing=True, autograph=False)


def _restore(model: keras.Model, phase: Phase, checkpoint: Checkpoint, recipe: Recipe) -> None:
    """Restore all variables; at the start of a phase the optimizer is new."""
    _assign(model.variables, checkpoint.variables)
    if checkpoint.steps or recipe.phase(checkpoint.next_epoch - 1) == phase.name:
        _assign(phase.optimizer.variables, checkpoint.optimizer)


def _run_epoch(
    epoch: int,
    phase: Phase,
    batches: Iterable[Batch],
    open_validation: Callable[[], Iterable[Batch]],
    strategy: tf.distribute.Strategy,
) -> Epoch:
    started = time.monotonic()
    waits: list[float] = []
    loss, error, count = _mean(phase.train_step, _timed(batches, waits), strategy)
    seconds = time.monotonic() - started
    val_loss, val_error, _ = _mean(phase.val_step, open_validation(), strategy)
    return Epoch(
        epoch=epoch,
        phase=phase.name,
        loss=loss,
        val_loss=val_loss,
        error_pct=100 * error,
        val_error_pct=100 * val_error,
        images_per_s=count / seconds,
        wait_pct=100 * sum(waits) / seconds,
        seconds=time.monotonic() - started,
    )


def _timed(batches: Iterable[Batch], waits: list[float]) -> Iterable[Batch]:
    """Yield the batches and append the seconds that each took to arrive to `waits`."""
    iterator = iter(batches)
    while True:
        started = time.monotonic()
        batch = next(iterator, None)
        waits.append(time.monotonic() - started)
        if batch is None:
            return
        yield batch


def _mean(step: Step, batches: Iterable[Batch], strategy: tf.distribute.Strategy) -> tuple[float, float, int]:
    """Return the mean loss, the mean distance and the count of a pass over all workers.

    The sums stay on the device until the end: reading them after each step would make a GPU wait.
    """
    total = tf.zeros(4)
    for images, labels in batches:
        total += step(images, labels)
    loss, count, distance, measured = _over_workers(total, strategy).numpy().astype(np.float64)
    if not count:
        raise ValueError("pass without samples; expected at least one")
    if not measured:
        raise DataError("no view has a pair with both labels; label both, or train with --head heatmap")
    return float(loss / count), float(distance / measured), int(count)


def _over_workers(total: tf.Tensor, strategy: tf.distribute.Strategy) -> tf.Tensor:
    if strategy.num_replicas_in_sync == 1:
        return total
    return strategy.reduce("SUM", strategy.run(tf.function(tf.identity), args=(total,)), axis=None)


def _arrays(variables: Iterable[keras.Variable]) -> tuple[NDArray, ...]:
    return tuple(variable.numpy() for variable in variables)


def _assign(variables: Iterable[keras.Variable], arrays: Iterable[NDArray]) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
