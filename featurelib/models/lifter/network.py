"""The lifter's network: an MLP (128 - 64) from image coordinates to coordinates in mm; for one pair from 18 to 6.

Targets are standardised with the training objects' mean and standard deviation. The last layer inverts this, so the
saved model returns millimetres.
The training inputs are true positions plus the detector's errors on a random validation object. All errors of one
object are used together, since they are correlated between views.
Landmarks without a label have no part in the loss. A position that is not known is the training objects' mean.
"""

from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from featurelib.models.lifter.vectors import Vectors

EPOCHS = 60
PATIENCE = 15
PASSES = 16
"""Passes over the objects per epoch, each with new noise; a validation after each pass would dominate the time."""
RATE = 1e-3
BATCH_SIZE = 32


class Standardiser(NamedTuple):
    """Mean and standard deviation (3 k,) in mm of the targets, relative to the centre."""

    mean_mm: NDArray[np.float64]
    std_mm: NDArray[np.float64]


def fit_standardiser(training: Vectors) -> Standardiser:
    """Return the mean and standard deviation of the training objects' targets; each landmark has a label."""
    targets = training.target_mm.reshape(len(training), -1)
    return Standardiser(np.nanmean(targets, axis=0), np.maximum(np.nanstd(targets, axis=0), 1e-3))


def mean_positions(training: Vectors) -> NDArray[np.float64]:
    """Return the mean true near positions (s, v, 2) of training objects; the image's centre if none is known."""
    known = np.isfinite(training.xy_true)
    count = known.sum(axis=0)
    total = np.where(known, training.xy_true, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(total.shape, 0.5), where=count > 0)


def detector_errors(validation: Vectors) -> NDArray[np.float64]:
    """Return the detector's errors (n, s, v, 2) on objects it was not trained on, as noise of the MLP's training.

    Where the true positions of a slot are not known, the errors are those of another object. They are zero if no object
    has any.
    """
    errors = validation.xy - validation.xy_true
    known = np.asarray(np.isfinite(errors).all(axis=(2, 3)))
    for slot, has_errors in enumerate(known.T):
        donors = np.flatnonzero(has_errors)
        without = np.flatnonzero(~has_errors)
        errors[without, slot] = errors[np.resize(donors, len(without)), slot] if len(donors) else 0.0
    return errors


def residual_noise(validation: Vectors) -> NDArray[np.float64]:
    """Return the root mean square of `detector_errors` (s, v, 2) in each coordinate."""
    return np.asarray(np.sqrt(np.mean(detector_errors(validation) ** 2, axis=0)))


def build_lifter(num_inputs: int, standardiser: Standardiser) -> keras.Model:
    """Return an untrained lifter, from near positions (n, 2 s v) to landmarks (n, 3 k) in mm from the centre."""
    inputs = keras.Input((num_inputs,), name="xy")
    x = keras.layers.Rescaling(2.0, offset=-1.0)(inputs)
    for units in (128, 64):
        x = keras.layers.Dense(units, activation="relu")(x)
        x = keras.layers.Dropout(0.2)(x)
    x = keras.layers.Dense(len(standardiser.mean_mm))(x)
    undo = keras.layers.Normalization(
        mean=standardiser.mean_mm, variance=standardiser.std_mm**2, invert=True, name="mm"
    )
    return keras.Model(inputs, undo(x), name="lifter")


def fit_lifter(training: Vectors, validation: Vectors, seed: int = 0) -> tuple[keras.Model, Standardiser]:
    """Train a lifter; return it and its standardiser.

    Training inputs have noise, drawn anew in each pass; validation inputs are the detector's positions. Without the
    noise the inputs of training would be more accurate than those of inference.
    """
    keras.utils.set_random_seed(seed)
    standardiser, mean_xy = fit_standardiser(training), mean_positions(training)
    model = build_lifter(mean_xy.size, standardiser)
    model.compile(keras.optimizers.Adam(RATE), loss=_standardised_mse(standardiser.std_mm))
    doubled = training.with_mirrors()
    errors = detector_errors(validation.with_mirrors())
    model.fit(
        NoisyBatches(_known(doubled.xy_true, mean_xy), doubled.target_mm, errors, seed),
        validation_data=(_flat(_known(validation.xy, mean_xy)), _flat(validation.target_mm)),
        epochs=EPOCHS,
        verbose=0,
        callbacks=[keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)],
    )
    return model, standardiser


class NoisyBatches(keras.utils.PyDataset):
    """Batches of positions with newly drawn errors of the detector, and their targets, NaN where not labelled."""

    def __init__(
        self, xy: NDArray[np.float64], target_mm: NDArray[np.float64], errors: NDArray[np.float64], seed: int
    ) -> None:
        """Take xy (n, s, v, 2), target_mm (n, k, 3) and the errors (m, s, v, 2) of m objects."""
        super().__init__()
        self.xy, self.target_mm, self.errors = xy, target_mm, errors
        self.rng = np.random.default_rng(seed)
        self.on_epoch_end()

    def on_epoch_end(self) -> None:
        """Shuffle the objects of the next epoch."""
        self.order = np.concatenate([self.rng.permutation(len(self.xy)) for _ in range(PASSES)])

    def __len__(self) -> int:
        return -(-len(self.order) // BATCH_SIZE)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows = self.order[index * BATCH_SIZE : (index + 1) * BATCH_SIZE]
        drawn = self.errors[self.rng.integers(len(self.errors), size=len(rows))]
        return _flat(self.xy[rows] + drawn), _flat(self.target_mm[rows])


def _standardised_mse(std_mm: NDArray[np.float64]) -> keras.losses.Loss:
    """Return the mean squared error in standard deviations; a target that is NaN has no error."""
    weights = keras.ops.convert_to_tensor(1 / std_mm, dtype="float32")

    def loss(true: keras.KerasTensor, predicted: keras.KerasTensor) -> keras.KerasTensor:
        known = keras.ops.where(keras.ops.isnan(true), predicted, true)
        return keras.ops.mean(keras.ops.square((known - predicted) * weights), axis=-1)

    return loss


def _known(xy: NDArray[np.float64], mean_xy: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isnan(xy), mean_xy, xy)


def _flat(values: NDArray[np.floating]) -> NDArray[np.float32]:
    return values.reshape(len(values), -1).astype(np.float32)
