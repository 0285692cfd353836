"""The heads: outputs, losses, errors and detections. Mostly on a backbone of five layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from featurelib.geometry import mirror_xy
from featurelib.models import heatmaps
from featurelib.models.detector.detection import read_detection
from featurelib.models.detector.heads import HEADS, TAPS, HeatmapHead, RegressionHead
from featurelib.models.detector.samples import Labels

SIZE = 64
CELLS = SIZE // 4


def attached(head, policy="float32", backbone=None):
    """Return a head on a backbone, as a model of scaled images."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        images = keras.Input((SIZE, SIZE, 3))
        return keras.Model(images, head.attach(backbone or small_backbone(), images))
    finally:
        keras.config.set_dtype_policy("float32")


def small_backbone():
    """Return five strided convolutions, named like the layers that feed the head; they are quick to train."""
    x = images = keras.Input((SIZE, SIZE, 3))
    for name in ("stem", *reversed(TAPS)):
        x = keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name=name)(x)
    return keras.Model(images, x, name="backbone")


def mobilenet():
    """Return MobileNetV2, untrained."""
    shape = (SIZE, SIZE, 3)
    return keras.applications.MobileNetV2(
        input_shape=shape, alpha=0.35, include_top=False, weights=None, name="backbone"
    )


@pytest.fixture(scope="module")
def model():
    """The heatmap head on MobileNetV2; tests do not change it."""
    return attached(HeatmapHead(), backbone=mobilenet())


def labels_of(count=5, seed=0):
    """Return random labels."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0.3, 0.7, (count, 2, 2)).astype(np.float32)
    near, visible = rng.integers(0, 2, count).astype(np.int32), rng.integers(0, 2, (count, 2)).astype(np.float32)
    return Labels(points, near, visible, np.ones(count, np.float32))


def in_the_mirror(labels):
    """Return the labels of the mirrored images."""
    points = mirror_xy(labels.points)[:, ::-1].astype(np.float32)
    return Labels(points, 1 - labels.near, labels.visible[:, ::-1], labels.weight)


def outputs_of(labels, seed=1):
    """Return random outputs of the heatmap head."""
    rng = np.random.default_rng(seed)
    scores = 3 * rng.normal(size=(len(labels.near), CELLS, CELLS, 2))
    return {"maps": scores.astype(np.float32), "visible": rng.normal(size=labels.visible.shape).astype(np.float32)}


def perfect(labels):
    """Return the outputs that agree with the labels."""
    scores = np.asarray(heatmaps.gaussian(labels.points, CELLS, CELLS, HeatmapHead().sigma_cells))
    return {"maps": scores, "visible": 40 * labels.visible - 20}


def test_labels_mirrored_twice_are_themselves():
    """Sides, positions and visibility are restored."""
    labels = labels_of()
    for once, again in zip(labels, in_the_mirror(in_the_mirror(labels)), strict=True):
        np.testing.assert_allclose(once, again, atol=1e-6)


def test_mirroring_does_not_change_the_loss():
    """Flipped maps with the sides swapped have the same loss and the same error against mirrored labels."""
    head, labels = HeatmapHead(), labels_of()
    outputs = outputs_of(labels)
    flipped = {"maps": outputs["maps"][:, :, ::-1, ::-1], "visible": outputs["visible"][:, ::-1]}

    np.testing.assert_allclose(head.losses(flipped, in_the_mirror(labels)), head.losses(outputs, labels), rtol=1e-4)
    np.testing.assert_allclose(
        head.distances(flipped, in_the_mirror(labels)), head.distances(outputs, labels), atol=1e-6
    )
    detection, mirrored = read_detection(outputs), read_detection(flipped)
    np.testing.assert_allclose(mirrored.xy, mirror_xy(detection.xy)[:, ::-1], atol=1e-6)
    np.testing.assert_allclose(mirrored.visible, detection.visible[:, ::-1], atol=1e-6)
    np.testing.assert_allclose(mirrored.covariance, (detection.covariance * [[1, -1], [-1, 1]])[:, ::-1], atol=1e-6)


def test_perfect_maps_give_the_labels():
    """Gaussians at the labels give their positions, covariances and visibility, without loss."""
    head, labels = HeatmapHead(), labels_of()
    detection = read_detection(arrays(perfect(labels)))

    np.testing.assert_allclose(detection.xy, labels.points, atol=1e-3 / CELLS)
    np.testing.assert_allclose(detection.visible, labels.visible, atol=1e-6)
    spread = np.broadcast_to(np.eye(2) * (head.sigma_cells / CELLS) ** 2, detection.covariance.shape)
    np.testing.assert_allclose(np.asarray(detection.covariance), spread, rtol=1e-2, atol=1e-5)
    np.testing.assert_allclose(head.losses(perfect(labels), labels), 0, atol=1e-4)
    np.testing.assert_allclose(head.distances(perfect(labels), labels), 0, atol=1e-4)


def arrays(outputs):
    """Return outputs as arrays."""
    return {name: np.asarray(output) for name, output in outputs.items()}


def near(labels):
    """Return the true positions (n, 2) of the near instances."""
    return labels.points[np.arange(len(labels.near)), labels.near]


@pytest.mark.parametrize("name", HEADS)
def test_only_the_near_instance_is_measured(name):
    """The error is the near instance's distance, a 3-4-5 triangle, for any far position."""
    labels = labels_of()
    predicted = labels.points.copy()
    predicted[np.arange(5), labels.near] += (0.03, 0.04)
    predicted[np.arange(5), 1 - labels.near] = 0.5
    outputs = (
        perfect(labels._replace(points=predicted)) if name == "heatmap" else near(labels._replace(points=predicted))
    )

    np.testing.assert_allclose(HEADS[name].distances(outputs, labels), 0.05, atol=1e-4)


def test_each_sample_has_its_own_loss():
    """The loss of an image does not depend on the others, so a caller may give some weight 0."""
    head, labels = HeatmapHead(), labels_of()
    outputs = outputs_of(labels)
    alone = [
        head.losses({k: v[i : i + 1] for k, v in outputs.items()}, Labels(*(v[i : i + 1] for v in labels)))
        for i in range(5)
    ]

    np.testing.assert_allclose(head.losses(outputs, labels), np.concatenate(alone), rtol=1e-5)


def test_the_regression_head_predicts_the_near_position():
    """Positions are in [0, 1], the loss is a mean of two squares, and covariance and visibility are NaN."""
    head, labels = RegressionHead(), labels_of()
    model = attached(head)
    xy = np.asarray(model(np.random.default_rng(0).uniform(-1, 1, (5, SIZE, SIZE, 3)), training=False))
    detection = read_detection({"output": xy})

    assert model.output_shape == (None, 2)
    assert ((xy > 0) & (xy < 1)).all()
    np.testing.assert_allclose(head.losses(xy, labels), np.mean((xy - near(labels)) ** 2, -1), rtol=1e-5)
    np.testing.assert_allclose(head.distances(xy, labels), np.linalg.norm(xy - near(labels), axis=-1), rtol=1e-4)
    np.testing.assert_array_equal(detection.xy, np.stack([xy, xy], axis=1))
    assert np.isnan(np.asarray(detection.covariance)).all()
    assert np.isnan(np.asarray(detection.visible)).all()


def test_the_maps_have_a_quarter_of_the_resolution(model):
    """The tapped layers have the documented strides, and the backbone keeps its name."""
    backbone = model.get_layer("backbone")

    assert {name: tuple(shape) for name, shape in ((k, v.shape) for k, v in model.output.items())} == {
        "maps": (None, CELLS, CELLS, 2),
        "visible": (None, 2),
    }
    assert [SIZE // backbone.get_layer(name).output.shape[1] for name in TAPS] == [32, 16, 8, 4]
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert not norms, "layers outside the backbone have no statistics"


def test_a_loaded_network_gives_the_same_outputs(model, tmp_path):
    """The file loads without our code."""
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    images = np.random.default_rng(0).uniform(-1, 1, (2, SIZE, SIZE, 3)).astype(np.float32)

    for name, values in model(images, training=False).items():
        np.testing.assert_allclose(again(images, training=False)[name], values, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_stays_in_the_network(policy):
    """Outputs, losses and errors are float32, and finite."""
    labels, head = labels_of(), HeatmapHead()
    images = np.random.default_rng(0).uniform(-1, 1, (5, SIZE, SIZE, 3)).astype(np.float32)
    outputs = attached(head, policy)(images, training=False)
    values = [*outputs.values(), head.losses(outputs, labels), head.distances(outputs, labels)]

    assert {value.dtype for value in values} == {tf.float32}
    assert all(np.isfinite(value).all() for value in values)


@pytest.mark.parametrize("name", HEADS)
def test_a_compiled_step_gives_the_same_with_static_shapes(name):
    """XLA needs static shapes; the gradient of the loss is finite also at zero distance."""
    labels = labels_of()
    outputs = perfect(labels) if name == "heatmap" else near(labels)

    @tf.function(jit_compile=True)
    def measure(outputs, labels):
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            losses = HEADS[name].losses(outputs, labels)
        assert losses.shape == (5,)
        return losses, HEADS[name].distances(outputs, labels), tape.gradient(losses, outputs)

    losses, distances, slopes = measure(*tf.nest.map_structure(tf.constant, (outputs, labels)))
    np.testing.assert_allclose(losses, HEADS[name].losses(outputs, labels), atol=1e-6)
    np.testing.assert_allclose(distances, HEADS[name].distances(outputs, labels), atol=1e-6)
    assert all(np.isfinite(slope).all() for slope in tf.nest.flatten(slopes))


def test_a_few_steps_separate_a_bright_dot_from_a_dim_one():
    """The left dot is bright and the right one dim: loss and error are halved."""
    head, model, labels = HeatmapHead(), attached(HeatmapHead()), labels_of(16)
    images = np.repeat(dots(labels), 3, axis=-1)
    optimizer = keras.optimizers.Adam(1e-2)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            outputs = model(images, training=True)
            loss = ops.mean(head.losses(outputs, labels))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss, ops.mean(head.distances(outputs, labels))

    optimizer.build(model.trainable_variables)
    losses, distances = np.array([step() for _ in range(80)]).T  # 40 left 0.51 of it on a CPU without AVX-512
    assert losses[-1] < 0.5 * losses[0]
    assert distances[-1] < 0.5 * distances[0]


def dots(labels):
    """Return scaled images (n, s, s, 1) with a white dot at each left point, and a grey one at each right point."""
    drawn = np.exp(np.asarray(heatmaps.gaussian(labels.points, SIZE, SIZE, 2.0)))
    drawn /= drawn.max(axis=(1, 2), keepdims=True)
    return 2 * np.max(drawn * (1.0, 0.5), axis=-1, keepdims=True).astype(np.float32) - 1
