"""Inference with a detector: its network agrees with the Keras model, on CPUs and as on GPUs."""

from dataclasses import replace
from hashlib import sha256
from itertools import product

import keras
import numpy as np
import pytest
from PIL import Image

from featurelib.datasets.shards import encode_png
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet
from featurelib.models.detector.detection import read_detection
from featurelib.models.detector.files import refuse_other_landmarks, write_detector
from featurelib.models.detector.heads import HEADS
from featurelib.models.detector.model import Detector
from featurelib.models.detector.network import batch_norms, build_detector
from featurelib.models.export import export_network
from featurelib.models.inference import Device
from featurelib.models.keras_models import load_model

PAIR = LandmarkSet.single_pair("ear")
MIXED = LandmarkSet((("a_left", "a_right"), ("b_left", "b_right")), midline=("nose",), unpaired=("scar",))
SETS = {"pair": PAIR, "mixed": MIXED}

SIZE = 96
"""At 32 px the last blocks have one cell per image, and the BatchNorm statistics of 64 images amplify rounding: on a
CPU without AVX-512 the regression head differed by 1.4e-5. At 96 px it is 3e-6, at the default of 128 px 2e-6."""


@pytest.fixture(scope="module", params=product(HEADS, SETS), ids="-".join)
def detector(request):
    """An untrained detector; its BatchNorm statistics are of random images; otherwise all outputs are equal."""
    keras.utils.set_random_seed(0)
    head, name = request.param
    model = build_detector(SETS[name], head=head, alpha=0.35, input_size=SIZE, weights="none")
    for layer in batch_norms(model.get_layer("backbone")):
        layer.momentum = 0.0
    model(images(64, 3).astype(np.float32), training=True)
    return Detector(export_network(model), SETS[name])


def images(count, channels, size=SIZE):
    """Return images (n, s, s, c) of random blocks of 8 pixels."""
    blocks = np.random.default_rng(count).integers(0, 256, (count, size // 8, size // 8, channels), dtype=np.uint8)
    return blocks.repeat(8, axis=1).repeat(8, axis=2)


def by_keras(detector, stored):
    """Return the positions of the Keras model, layer by layer."""
    rgb = np.broadcast_to(stored, (*stored.shape[:3], 3)).astype(np.float32)
    outputs = load_model(detector.network.keras)(rgb, training=False)
    named = outputs if isinstance(outputs, dict) else {"output": outputs}
    return read_detection({name: np.asarray(output) for name, output in named.items()}, detector.landmarks).xy


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 9])
def test_the_network_agrees_with_keras(detector, count, channels, gpu):
    """Folding BatchNorm and expanding grey change positions only by rounding, in LiteRT and in the graph for GPUs.

    Without a GPU TensorFlow runs that graph on the CPU.
    """
    stored = images(count, channels)
    found = replace(detector, network=replace(detector.network, device=Device(gpu=gpu))).find(stored)

    k = len(detector.landmarks.names)
    assert [part.shape for part in found] == [(count, k, 2), (count, k, 2, 2), (count, k)]
    assert {part.dtype for part in found} == {np.dtype(np.float32)}
    np.testing.assert_allclose(found.xy, by_keras(detector, stored), atol=1e-5)


def test_the_positions_differ_between_images(detector):
    """So the comparison with Keras is of values that depend on the image."""
    assert detector.find(images(9, 1)).xy.std(axis=0).min() > 0


@pytest.mark.parametrize("batch", [1, 4, 9])
def test_a_position_does_not_depend_on_the_batch(detector, batch):
    """Ten images at once, or in batches with a partial last one, give the same positions."""
    stored = images(10, 1)
    parts = [detector.find(stored[i : i + batch]).xy for i in range(0, 10, batch)]

    np.testing.assert_allclose(np.concatenate(parts), detector.find(stored).xy, atol=1e-6)


def test_pngs_are_reduced_and_may_mix_grey_and_colour(detector):
    """A call decodes, averages over whole pixels, and widens grey images if any image has colour."""
    grey, colour = (images(1, channels, 2 * SIZE)[0] for channels in (1, 3))
    found = detector([encode_png(grey[..., 0]), encode_png(colour)]).xy

    reduced = [np.asarray(Image.fromarray(p).reduce(2)) for p in (np.repeat(grey, 3, -1), colour)]
    np.testing.assert_allclose(found, by_keras(detector, np.stack(reduced)), atol=1e-5)


def test_no_images_give_no_detections(detector):
    """The arrays are empty, with the usual shapes."""
    k = len(detector.landmarks.names)
    assert [part.shape for part in detector([])] == [(0, k, 2), (0, k, 2, 2), (0, k)]


def test_a_loaded_detector_is_the_saved_one(detector, tmp_path):
    """It gives the same detections; its version is the hash of its file."""
    folder = tmp_path / "detector" / "perspective"
    write_detector(detector.network, str(folder), {"alpha": 0.35, **detector.landmarks.to_record()})
    loaded = Detector.load(str(tmp_path), "perspective")
    stored = images(3, 1)

    assert loaded.input_size == SIZE
    assert loaded.landmarks == detector.landmarks
    assert loaded.version == detector.version == sha256((folder / "model.keras").read_bytes()).hexdigest()
    for found, expected in zip(loaded.find(stored), detector.find(stored), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_detector_without_config_is_rejected(tmp_path):
    """config.json is written last, so the training has not ended."""
    with pytest.raises(DataError, match="featurelib train-detector --projection orthographic"):
        Detector.load(str(tmp_path), "orthographic")


def test_a_detector_of_another_set_is_rejected(detector, tmp_path):
    """The message has the folder, the difference and the command; a detector of the same set is not rejected."""
    folder = tmp_path / "detector" / "perspective"
    write_detector(detector.network, str(folder), detector.landmarks.to_record())
    other = LandmarkSet(detector.landmarks.pairs, midline=("chin",))

    refuse_other_landmarks(str(tmp_path), "perspective", detector.landmarks)
    with pytest.raises(DataError, match="trained on another landmark set, with"):
        refuse_other_landmarks(str(tmp_path), "perspective", other)


def test_a_detector_of_another_version_is_rejected(detector, tmp_path):
    """A config.json without a landmark set was written by an older version."""
    write_detector(detector.network, str(tmp_path / "detector" / "perspective"), {"alpha": 0.35})

    with pytest.raises(DataError, match=r"config\.json: written by another version"):
        Detector.load(str(tmp_path), "perspective")
