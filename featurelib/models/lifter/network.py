"""The lifter's network: an MLP (128 - 64) from 18 image coordinates to 6 coordinates in mm.

Targets are standardised with the training objects' mean and standard deviation. The last layer inverts this, so the
saved model returns millimetres.
The training inputs are true positions plus the detector's errors on a random validation object. All errors of one
object are used together, since they are correlated between views.
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
    """Mean and standard deviation (6,) in mm of the targets, relative to the centre."""

    mean_mm: NDArray[np.float64]
    std_mm: NDArray[np.float64]


def fit_standardiser(training: Vectors) -> Standardiser:
    """Return the mean and standard deviation of the training objects' targets."""
    targets = training.target_mm.reshape(len(training), 6)
    return Standardiser(targets.mean(0), np.maximum(targets.std(0), 1e-3))


def residual_noise(validation: Vectors) -> NDArray[np.float64]:
    """Return the detector's root mean square error (v, 2) in each coordinate, on objects it was not trained on."""
    return np.sqrt(np.mean((validation.xy - validation.xy_true) ** 2, axis=0))


def build_lifter(num_views: int, standardiser: Standardiser) -> keras.Model:
    """Return an untrained lifter, from near positions (n, 2 v) to left and right xyz (n, 6) in mm from the centre."""
    inputs = keras.Input((2 * num_views,), name="xy")
    x = keras.layers.Rescaling(2.0, offset=-1.0)(inputs)
    for units in (128, 64):
        x = keras.layers.Dense(units, activation="relu")(x)
        x = keras.layers.Dropout(0.2)(x)
    x = keras.layers.Dense(6)(x)
    undo = keras.layers.Normalization(
        mean=standardiser.mean_mm, variance=standardiser.std_mm**2, invert=True, name="mm"
    )
    return keras.Model(inputs, undo(x), name="lifter")


def fit_lifter(
    training: Vectors, validation: Vectors, seed: int = 0
) -> tuple[keras.Model, Standardiser, NDArray[np.float64]]:
    """Train a lifter; return it, its standardiser and the detector's error (v, 2) on validation objects.

    Training inputs have noise, drawn anew in each pass; validation inputs are the detector's positions. Without the
    noise the inputs of training would be more accurate than those of inference.
    """
    keras.utils.set_random_seed(seed)
    standardiser, mirrored = fit_standardiser(training), validation.with_mirrors()
    model = build_lifter(training.xy.shape[1], standardiser)
    model.compile(keras.optimizers.Adam(RATE), loss=_standardised_mse(standardiser.std_mm))
    doubled = training.with_mirrors()
    model.fit(
        NoisyBatches(doubled.xy_true, doubled.target_mm, mirrored.xy - mirrored.xy_true, seed),
        validation_data=(_flat(validation.xy), _flat(validation.target_mm)),
        epochs=EPOCHS,
        verbose=0,
        callbacks=[keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)],
    )
    return model, standardiser, residual_noise(validation)


class NoisyBatches(keras.utils.PyDataset):
    """Batches of positions with newly drawn errors of the detector, and their targets."""

    def __init__(
        self, xy: NDArray[np.float64], target_mm: NDArray[np.float64], errors: NDArray[np.float64], seed: int
    ) -> None:
        """Take xy (n, v, 2), target_mm (n, 2, 3) and the errors (m, v, 2) of m objects."""
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
    weights = keras.ops.convert_to_tensor(1 / std_mm, dtype="float32")
    return lambda true, predicted: keras.ops.mean(keras.ops.square((true - predicted) * weights), axis=-1)


def _flat(values: NDArray[np.floating]) -> NDArray[np.float32]:
    return values.reshape(len(values), -1).astype(np.float32)
