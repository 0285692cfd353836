"""The detector's heads: a head builds the outputs on the backbone, and defines their loss and error.

`regression` predicts one position a slot of the landmark set: that of the nearer landmark of a pair, which is ambiguous
in a front view, or of a landmark without a counterpart. `heatmap` predicts one map for each of the k landmarks.

Landmarks that are not labelled (`Labels.known`) and slots whose near landmark is not known are left out of the means.
"""

from dataclasses import dataclass
from typing import Protocol

import keras
from keras import ops

from featurelib.geometry import LandmarkSet
from featurelib.models import heatmaps
from featurelib.models.detector.samples import Labels
from featurelib.models.heatmaps import Tensor

L2 = 1e-4
"""L2 factor of the regression head's dense layers. Its term is not small compared with the final loss (an MSE of about
1e-4), so the validation loss excludes it."""

TAPS = ("block_16_project_BN", "block_13_expand_relu", "block_6_expand_relu", "block_3_expand_relu")
"""MobileNetV2's layers that feed the heatmap head: the last one at each of the strides 32, 16, 8 and 4."""

TINY = 1e-12
"""Added under the square root of a distance, whose gradient is infinite at 0: (a millionth of the width)^2."""


class Head(Protocol):
    """A head. Losses and errors are per sample, so that a caller can exclude the samples that pad a batch."""

    def attach(self, backbone: keras.Model, images: Tensor, landmarks: LandmarkSet) -> Tensor:
        """Return the float32 outputs of the backbone and this head for scaled images (n, h, w, 3)."""
        ...

    def losses(self, outputs: Tensor, labels: Labels) -> Tensor:
        """Return the losses (n,) that training minimises."""
        ...

    def distances(self, outputs: Tensor, labels: Labels) -> Tensor:
        """Return the mean errors (n,) of the near landmarks, in fractions of the width; NaN if none is known."""
        ...


@dataclass(frozen=True)
class RegressionHead:
    """Near positions by global average pooling, 256 and 128 ReLU units with L2 and dropout, and two sigmoids a slot."""

    def attach(self, backbone: keras.Model, images: Tensor, landmarks: LandmarkSet) -> Tensor:
        """Return near positions xy (n, 2 s), slot by slot."""
        x = keras.layers.GlobalAveragePooling2D()(backbone(images))
        for units, rate in ((256, 0.4), (128, 0.3)):
            x = keras.layers.Dense(units, activation="relu", kernel_regularizer=keras.regularizers.L2(L2))(x)
            x = keras.layers.Dropout(rate)(x)
        return keras.layers.Dense(2 * len(landmarks.slots), activation="sigmoid", dtype="float32", name="xy")(x)

    def losses(self, outputs: Tensor, labels: Labels) -> Tensor:
        """Return the mean squared errors (n,) over x and y of the near landmarks."""
        return _masked_mean(ops.mean(self._offsets(outputs, labels) ** 2, axis=-1), _is_near_known(labels))

    def distances(self, outputs: Tensor, labels: Labels) -> Tensor:
        """Return the mean errors (n,) of the near landmarks; NaN if none is known."""
        known = _is_near_known(labels)
        return _nan_without(known, _masked_mean(_lengths(self._offsets(outputs, labels)), known))

    def _offsets(self, outputs: Tensor, labels: Labels) -> Tensor:
        """Return the errors (n, s, 2) as vectors."""
        near = _near(labels.points, labels.near)
        return ops.reshape(outputs, ops.shape(near)) - near


@dataclass(frozen=True)
class HeatmapHead:
    """A map for each landmark, at stride 4, and the visibility of each.

    A feature pyramid merges the backbone's features at strides 32 to 4, from the deepest up. Each step is a 1 x 1
    convolution of the next features, an upsampling by 2 and a separable 3 x 3 convolution. The head has no BatchNorm:
    without statistics to learn, one learning rate trains all layers from the first step, on any number of workers.

    Positions are the means of the maps (soft-argmax). Occluded landmarks are trained like visible ones, since the
    object determines their position. The loss, a mean over known landmarks, is `place_weight` times the distance in
    fractions of the width, plus `map_weight` times the Jensen-Shannon divergence between the map and a Gaussian (both
    after Nibali et al. 2018, https://arxiv.org/abs/1801.07372), plus `visible_weight` times a cross-entropy.

    channels: of the merged features. sigma_cells: standard deviation of that Gaussian, in cells of the map.
    """

    channels: int = 32
    sigma_cells: float = 1.0
    place_weight: float = 2.0
    map_weight: float = 1.0
    visible_weight: float = 0.1

    def attach(self, backbone: keras.Model, images: Tensor, landmarks: LandmarkSet) -> dict[str, Tensor]:
        """Return `maps`, logits (n, h / 4, w / 4, k), and `visible`, logits (n, k)."""
        layers = keras.layers
        outputs = [backbone.get_layer(name).output for name in TAPS]
        deepest, *finer = keras.Model(backbone.inputs, outputs, name=backbone.name)(images)
        x = layers.Conv2D(self.channels, 1, activation="relu6", name="deepest")(deepest)
        for stride, tap in zip((16, 8, 4), finer, strict=True):
            lateral = layers.Conv2D(self.channels, 1, name=f"lateral_{stride}")(tap)
            x = layers.Add(name=f"add_{stride}")([layers.UpSampling2D(name=f"up_{stride}")(x), lateral])
            x = layers.SeparableConv2D(self.channels, 3, padding="same", activation="relu6", name=f"merge_{stride}")(x)
        count = len(landmarks.names)
        scores = layers.SeparableConv2D(count, 3, padding="same", dtype="float32", name="maps")(x)
        return {"maps": scores, "visible": self._visible(scores, ops.cast(x, "float32"))}

    def _visible(self, scores: Tensor, features: Tensor) -> Tensor:
        """Return visibility logits (n, k) from features weighted by each map; landmarks share the dense layers."""
        pooled = ops.einsum("nhwk,nhwc->nkc", ops.exp(heatmaps.log_probabilities(scores)), features)
        hidden = keras.layers.Dense(self.channels, activation="relu", dtype="float32", name="seen")(pooled)
        return ops.squeeze(keras.layers.Dense(1, dtype="float32", name="visible")(hidden), axis=-1)

    def losses(self, outputs: dict[str, Tensor], labels: Labels) -> Tensor:
        """Return the weighted sums (n,) of distance, divergence and cross-entropy, means over known landmarks."""
        log_p = heatmaps.log_probabilities(outputs["maps"])
        _, height, width, _ = log_p.shape
        target = heatmaps.gaussian(labels.points, height, width, self.sigma_cells)
        place = _lengths(heatmaps.means(log_p) - labels.points)
        shape = heatmaps.jensen_shannon(log_p, target)
        occluded = ops.binary_crossentropy(labels.visible, outputs["visible"], from_logits=True)
        together = self.place_weight * place + self.map_weight * shape + self.visible_weight * occluded
        return _masked_mean(together, labels.known)

    def distances(self, outputs: dict[str, Tensor], labels: Labels) -> Tensor:
        """Return the mean errors (n,) of the near landmarks; of all known ones if no near one is known, else NaN."""
        xy = heatmaps.means(heatmaps.log_probabilities(outputs["maps"]))
        lengths, known = _lengths(xy - labels.points), _is_near_known(labels)
        of_near = _masked_mean(_near(lengths[..., None], labels.near)[..., 0], known)
        return ops.where(
            ops.any(known > 0, axis=-1), of_near, _nan_without(labels.known, _masked_mean(lengths, labels.known))
        )


def _near(values: Tensor, near: Tensor) -> Tensor:
    """Return the values (n, s, c) of the near landmarks among values (n, k, c); 0 where it is not known."""
    return ops.einsum("nsk,nkc->nsc", ops.one_hot(near, values.shape[1], dtype=values.dtype), values)


def _is_near_known(labels: Labels) -> Tensor:
    """Return 1 for each slot (n, s) whose near landmark is known, else 0."""
    return ops.cast(labels.near >= 0, "float32")


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the means (n,) of finite values (n, m) where the mask is 1; 0 where it is nowhere 1."""
    return ops.sum(values * mask, axis=-1) / ops.maximum(ops.sum(mask, axis=-1), 1)


def _nan_without(mask: Tensor, values: Tensor) -> Tensor:
    """Return values (n,), NaN where the mask (n, m) is nowhere 1."""
    return ops.where(ops.any(mask > 0, axis=-1), values, float("nan"))


def _lengths(offsets: Tensor) -> Tensor:
    """Return the lengths (...) of offsets (..., 2), with a finite gradient where one is 0."""
    return ops.sqrt(ops.sum(offsets**2, axis=-1) + TINY)


HEADS: dict[str, Head] = {"regression": RegressionHead(), "heatmap": HeatmapHead()}
"""The heads by name; `heatmap` needs images of at least 64 px for useful maps."""
