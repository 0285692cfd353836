"""The heads: outputs, losses, errors and detections. Mostly on a backbone of five layers."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from featurelib.geometry import LandmarkSet, mirror_permutation, mirror_xy, permuted
from featurelib.models import heatmaps
from featurelib.models.detector.detection import read_detection
from featurelib.models.detector.heads import HEADS, TAPS, HeatmapHead, RegressionHead
from featurelib.models.detector.samples import Labels

SIZE = 64
CELLS = SIZE // 4

PAIR = LandmarkSet.single_pair("ear")
MIXED = LandmarkSet((("a_left", "a_right"), ("b_left", "b_right")), midline=("nose",), unpaired=("scar",))
"""k = 6 landmarks in s = 4 slots."""

SETS = [PAIR, MIXED]


def attached(head, policy="float32", backbone=None, landmarks=PAIR):
    """Return a head on a backbone, as a model of scaled images."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        images = keras.Input((SIZE, SIZE, 3))
        return keras.Model(images, head.attach(backbone or small_backbone(), images, landmarks))
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


def labels_of(count=5, seed=0, landmarks=PAIR):
    """Return random labels, all known."""
    rng = np.random.default_rng(seed)
    k = len(landmarks.names)
    points = rng.uniform(0.3, 0.7, (count, k, 2)).astype(np.float32)
    near = landmarks.slots[np.arange(len(landmarks.slots)), rng.integers(0, 2, (count, len(landmarks.slots)))]
    visible = rng.integers(0, 2, (count, k)).astype(np.float32)
    return Labels(points, np.ones((count, k), np.float32), near.astype(np.int32), visible, np.ones(count, np.float32))


def without(labels, image, landmark, landmarks):
    """Return the labels without one of them."""
    known, near = labels.known.copy(), labels.near.copy()
    known[image, landmark], near[image, landmarks.slot_of[landmark]] = 0, -1
    return labels._replace(known=known, near=near)


def in_the_mirror(labels, landmarks=PAIR):
    """Return the labels of the mirrored images."""
    permutation = mirror_permutation(landmarks)
    points = np.nan_to_num(permuted(mirror_xy(labels.points), permutation), nan=0.5).astype(np.float32)
    known, visible = (np.nan_to_num(permuted(part, permutation, axis=-1)) for part in (labels.known, labels.visible))
    return Labels(points, known, permutation[labels.near].astype(np.int32), visible, labels.weight)


def outputs_of(labels, seed=1):
    """Return random outputs of the heatmap head."""
    rng = np.random.default_rng(seed)
    scores = 3 * rng.normal(size=(len(labels.near), CELLS, CELLS, labels.points.shape[1]))
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


@pytest.mark.parametrize("landmarks", [PAIR, replace(MIXED, unpaired=()), replace(MIXED, mirror="same")])
def test_mirroring_does_not_change_the_loss(landmarks):
    """Flipped maps with the names exchanged have the same loss and the same error against mirrored labels."""
    head, labels, permutation = HeatmapHead(), labels_of(landmarks=landmarks), mirror_permutation(landmarks)
    outputs, reflected = outputs_of(labels), in_the_mirror(labels, landmarks)
    flipped = {"maps": outputs["maps"][:, :, ::-1, permutation], "visible": outputs["visible"][:, permutation]}

    np.testing.assert_allclose(head.losses(flipped, reflected), head.losses(outputs, labels), rtol=1e-4)
    np.testing.assert_allclose(head.distances(flipped, reflected), head.distances(outputs, labels), atol=1e-6)
    detection, mirrored = read_detection(outputs, landmarks), read_detection(flipped, landmarks)
    np.testing.assert_allclose(mirrored.xy, mirror_xy(detection.xy)[:, permutation], atol=1e-6)
    np.testing.assert_allclose(mirrored.visible, detection.visible[:, permutation], atol=1e-6)
    turned = (detection.covariance * [[1, -1], [-1, 1]])[:, permutation]
    np.testing.assert_allclose(mirrored.covariance, turned, atol=1e-6)


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("landmark", range(6))
def test_a_missing_label_changes_nothing(name, landmark):
    """Its place has no influence on losses, errors and gradients; those of the others are means without it."""
    labels = labels_of(landmarks=MIXED)
    outputs = outputs_of(labels) if name == "heatmap" else np.random.default_rng(1).random((5, 8)).astype(np.float32)
    missing = without(labels, 2, landmark, MIXED)
    moved = missing.points.copy()
    moved[2, landmark] = 0.9
    elsewhere = missing._replace(
        points=moved, visible=np.where(missing.known == 0, 1 - missing.visible, missing.visible)
    )

    found = [measured(name, outputs, each) for each in (missing, elsewhere, labels)]
    for one, other in zip(*found[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    others = np.arange(5) != 2
    for one, other in zip(found[0][:2], found[2][:2], strict=True):
        np.testing.assert_array_equal(one[others], other[others])
    assert all(np.isfinite(part).all() for part in found[0])
    if name == "heatmap":
        assert (found[0][2][2, ..., landmark] == 0).all()
        assert (found[2][2][2, ..., landmark] != 0).any()


@pytest.mark.parametrize("name", HEADS)
def test_an_image_without_labels_has_no_loss_and_no_error(name):
    """Its loss and gradients are 0, its error is NaN, and the errors of other images are numbers."""
    labels = labels_of(landmarks=MIXED)
    labels.known[1], labels.near[1], labels.near[2] = 0, -1, -1
    outputs = outputs_of(labels) if name == "heatmap" else np.random.default_rng(1).random((5, 8)).astype(np.float32)
    losses, distances, *slopes = measured(name, outputs, labels)

    assert losses[1] == 0
    assert all((slope[1] == 0).all() for slope in slopes)
    assert np.isnan(distances).tolist() == [False, True, name == "regression", False, False]


def measured(name, outputs, labels):
    """Return losses, distances and the gradients of the losses."""
    outputs = tf.nest.map_structure(tf.constant, outputs)
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        losses = HEADS[name].losses(outputs, labels)
    slopes = tf.nest.flatten(tape.gradient(losses, outputs))
    return [np.asarray(part) for part in (losses, HEADS[name].distances(outputs, labels), *slopes)]


@pytest.mark.parametrize("landmarks", SETS)
def test_perfect_maps_give_the_labels(landmarks):
    """Gaussians at the labels give their positions, covariances and visibility, without loss."""
    head, labels = HeatmapHead(), labels_of(landmarks=landmarks)
    detection = read_detection(arrays(perfect(labels)), landmarks)

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
    """Return the true positions (n, 2 s) of the near landmarks."""
    return np.take_along_axis(labels.points, labels.near[..., None], axis=1).reshape(len(labels.near), -1)


@pytest.mark.parametrize("landmarks", SETS)
@pytest.mark.parametrize("name", HEADS)
def test_only_the_near_landmarks_are_measured(name, landmarks):
    """The error is the near landmarks' distance, a 3-4-5 triangle, for any far positions."""
    labels = labels_of(landmarks=landmarks)
    predicted = np.full_like(labels.points, 0.5)
    for image, chosen in enumerate(labels.near):
        predicted[image, chosen] = labels.points[image, chosen] + (0.03, 0.04)
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
    """For one pair: two numbers in [0, 1], a loss that is a mean of two squares, NaN for covariance and visibility."""
    head, labels = RegressionHead(), labels_of()
    model = attached(head)
    xy = np.asarray(model(np.random.default_rng(0).uniform(-1, 1, (5, SIZE, SIZE, 3)), training=False))
    detection = read_detection({"output": xy}, PAIR)

    assert model.output_shape == (None, 2)
    assert ((xy > 0) & (xy < 1)).all()
    np.testing.assert_allclose(head.losses(xy, labels), np.mean((xy - near(labels)) ** 2, -1), rtol=1e-5)
    np.testing.assert_allclose(head.distances(xy, labels), np.linalg.norm(xy - near(labels), axis=-1), rtol=1e-4)
    np.testing.assert_array_equal(detection.xy, np.stack([xy, xy], axis=1))
    assert np.isnan(np.asarray(detection.covariance)).all()
    assert np.isnan(np.asarray(detection.visible)).all()


def test_the_regression_head_predicts_one_position_a_slot():
    """Both landmarks of a pair get the pair's position, and each other landmark its own."""
    model, labels = attached(RegressionHead(), landmarks=MIXED), labels_of(landmarks=MIXED)
    xy = np.arange(40, dtype=np.float32).reshape(5, 8) / 40

    assert model.output_shape == (None, 8)
    np.testing.assert_array_equal(read_detection({"output": xy}, MIXED).xy, xy.reshape(5, 4, 2)[:, [0, 0, 1, 1, 2, 3]])
    expected = ((xy - near(labels)) ** 2).reshape(5, 4, 2).mean(axis=(1, 2))
    np.testing.assert_allclose(RegressionHead().losses(xy, labels), expected, rtol=1e-5)


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


@pytest.mark.parametrize("landmarks", SETS)
def test_a_few_steps_separate_dots_of_different_brightness(landmarks):
    """The left dot is bright and the right one dim, of a set each other one dimmer: loss and error are halved.

    A fifth of the labels of the larger set are missing.
    """
    head, model, labels = HeatmapHead(), attached(HeatmapHead(), landmarks=landmarks), labels_of(16, 0, landmarks)
    images = np.repeat(dots(labels), 3, axis=-1)
    for image, landmark in np.argwhere(np.random.default_rng(2).random(labels.known.shape) < 0.2):
        labels = labels if landmarks is PAIR else without(labels, image, landmark, landmarks)
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
    """Return scaled images (n, s, s, 1) with a dot at each point: a white one at the first, the next ones darker."""
    drawn = np.exp(np.asarray(heatmaps.gaussian(labels.points, SIZE, SIZE, 2.0)))
    drawn /= drawn.max(axis=(1, 2), keepdims=True)
    count = drawn.shape[-1]
    return 2 * np.max(drawn * (1 - np.arange(count) / count), axis=-1, keepdims=True).astype(np.float32) - 1
