"""Networks on CPUs: order, threads, files."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from featurelib.errors import DataError
from featurelib.models.export import export_network
from featurelib.models.inference import Device, Network


@pytest.fixture(scope="module")
def network():
    """A network that returns the sum and the mean of an image."""
    images = keras.Input((4, 4, 3))
    rows = keras.layers.Flatten()(images)
    outputs = {"sum": keras.ops.sum(rows, axis=-1), "mean": keras.ops.mean(rows, axis=-1, keepdims=True)}
    return export_network(keras.Model(images, outputs))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 50])
def test_outputs_keep_the_order_of_the_inputs(network, threads, count):
    """Row i of each output belongs to input i, whichever thread ends first."""
    images = np.random.default_rng(count).integers(0, 256, (count, 4, 4, 3), np.uint8)
    found = Network(network.keras, network.litert, Device(threads))(images)

    np.testing.assert_allclose(found["sum"], images.sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(found["mean"], images.mean(axis=(1, 2, 3))[:, None], rtol=1e-6)


def test_grey_images_are_expanded(network):
    """A channel counts three times."""
    grey = np.arange(32, dtype=np.uint8).reshape(2, 4, 4, 1)

    np.testing.assert_allclose(network(grey)["sum"], 3.0 * grey.sum(axis=(1, 2, 3)))


def test_inputs_of_another_size_are_refused(network):
    """They cannot be broadcast to the input shape."""
    with pytest.raises(ValueError, match="broadcast"):
        network(np.zeros((1, 5, 5, 3), np.uint8))


def test_a_read_network_is_the_written_one(network, tmp_path):
    """Both files are read; the version is the content's."""
    network.write(str(tmp_path / "model"))
    read = Network.read(str(tmp_path / "model"))

    assert (read.keras, read.litert, read.version) == (network.keras, network.litert, network.version)
    assert read.input_shape == (4, 4, 3)


@pytest.mark.parametrize("content", [None, b"", b"not a network", "truncated"])
def test_a_missing_or_damaged_file_is_named(network, tmp_path, content):
    """The error is one line with the file."""
    network.write(str(tmp_path / "model"))
    file = tmp_path / "model.tflite"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(network.litert[: len(network.litert) // 2] if content == "truncated" else content)
    with pytest.raises(DataError, match=r"model\.tflite"):
        Network.read(str(tmp_path / "model"))


def test_running_a_network_needs_no_tensorflow(network, tmp_path):
    """A process that only predicts does not import it, which would take 9 s of CPU."""
    network.write(str(tmp_path / "model"))
    code = f"""
import sys
import numpy as np
from featurelib.models.inference import Network
from featurelib.models.predictor import Predictor
from featurelib.models.detector.model import Detector
print(float(Network.read({str(tmp_path / "model")!r})(np.ones((1, 4, 4, 3)))["sum"][0]))
assert not {{"tensorflow", "keras"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["48.0"]
