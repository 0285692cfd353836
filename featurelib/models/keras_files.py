"""Keras networks as .keras files, local or on S3."""

import tempfile
from hashlib import sha256
from pathlib import Path

import keras

from featurelib.runtime import storage


def save_network(model: keras.Model, uri: str) -> str:
    """Write a network to the file `uri` and return the SHA-256 of its content."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        content = path.read_bytes()
    storage.write_bytes(uri, content)
    return sha256(content).hexdigest()


def load_network(content: bytes) -> keras.Model:
    """Return the network that a .keras file holds, without its optimizer; Keras reads only real files."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        path.write_bytes(content)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
