"""The detector in use: one graph for images as they are stored, which says what the Keras model says."""

from hashlib import sha256

import keras
import numpy as np
import pytest
from PIL import Image

from featurelib.datasets.shards import encode_png
from featurelib.errors import DataError
from featurelib.models.detector.heads import HEADS
from featurelib.models.detector.model import Detector, save_detector
from featurelib.models.detector.network import batch_norms, build_detector

SIZE = 96
"""At 32 px the last blocks see one cell of 64 images, and BatchNorm by their few statistics magnifies rounding: the
regression head was 1.4e-5 off on a CPU without AVX-512. At 96 px it is 3e-6, at the default of 128 px 2e-6."""


@pytest.fixture(scope="module", params=HEADS)
def detector(request):
    """An untrained detector of 96 px, whose BatchNorm has seen images: else no image changes its answer."""
    keras.utils.set_random_seed(0)
    model = build_detector(head=request.param, alpha=0.35, input_size=SIZE, weights="none")
    for layer in batch_norms(model.get_layer("backbone")):
        layer.momentum = 0.0
    model(images(64, 3).astype(np.float32), training=True)
    return Detector(model, "v", SIZE)


def images(count, channels, size=SIZE):
    """Images (n, s, s, c) of random blocks of 8 pixels."""
    blocks = np.random.default_rng(count).integers(0, 256, (count, size // 8, size // 8, channels), dtype=np.uint8)
    return blocks.repeat(8, axis=1).repeat(8, axis=2)


def by_keras(detector, stored):
    """What the model itself says, layer by layer."""
    rgb = np.broadcast_to(stored, (*stored.shape[:3], 3)).astype(np.float32)
    return np.asarray(detector.head.read(detector.model(rgb, training=False)).xy)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 9, 32])
def test_the_graph_says_what_keras_says(detector, count, channels):
    """Folding BatchNorm and widening grey inside the graph change no position by more than rounding."""
    stored = images(count, channels)
    found = detector.find(stored)

    assert [part.shape for part in found] == [(count, 2, 2), (count, 2, 2, 2), (count, 2)]
    assert {part.dtype for part in found} == {np.dtype(np.float32)}
    np.testing.assert_allclose(found.xy, by_keras(detector, stored), atol=1e-5)


def test_the_positions_differ_from_picture_to_picture(detector):
    """So the comparison with Keras is one of values that depend on the image."""
    assert detector.find(images(9, 1)).xy.std(axis=0).min() > 0


@pytest.mark.parametrize("batch", [1, 4, 9])
def test_a_position_does_not_depend_on_the_batch(detector, batch):
    """Ten images at once, or in batches of which the last is not full: the same."""
    stored = images(10, 1)
    parts = [detector.find(stored[i : i + batch]).xy for i in range(0, 10, batch)]

    np.testing.assert_allclose(np.concatenate(parts), detector.find(stored).xy, atol=1e-6)


def test_pngs_are_reduced_and_grey_ones_may_stand_beside_coloured_ones(detector):
    """A call decodes, averages over whole pixels, and widens grey where any image has colour."""
    grey, colour = (images(1, channels, 2 * SIZE)[0] for channels in (1, 3))
    found = detector([encode_png(grey[..., 0]), encode_png(colour)]).xy

    reduced = [np.asarray(Image.fromarray(p).reduce(2)) for p in (np.repeat(grey, 3, -1), colour)]
    np.testing.assert_allclose(found, by_keras(detector, np.stack(reduced)), atol=1e-5)


def test_no_pictures_give_no_positions(detector):
    """An empty call is answered with an empty table."""
    assert [part.shape for part in detector([])] == [(0, 2, 2), (0, 2, 2, 2), (0, 2)]


def test_a_detector_comes_back_from_its_folder(detector, tmp_path):
    """Written and loaded it finds the same; its version is the hash of its file."""
    folder = tmp_path / "detector" / "perspective"
    save_detector(detector.model, str(folder), {"alpha": 0.35})
    loaded = Detector.load(str(tmp_path), "perspective")
    stored = images(3, 1)

    assert loaded.input_size == SIZE
    assert loaded.version == sha256((folder / "model.keras").read_bytes()).hexdigest()
    for found, expected in zip(loaded.find(stored), detector.find(stored), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_detector_that_was_not_trained_to_its_end_is_refused(tmp_path):
    """Without config.json, which is written last, there is no detector."""
    with pytest.raises(DataError, match="featurelib train-detector --projection orthographic"):
        Detector.load(str(tmp_path), "orthographic")
