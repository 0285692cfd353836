"""An uploaded image as a PNG for the detector, or a one-line error."""

import io
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from featurelib.datasets.shards import encode_png
from serve.api.errors import ApiError

SIGNATURES = {"PNG": b"\x89PNG\r\n\x1a\n", "JPEG": b"\xff\xd8\xff"}
"""The first bytes of the supported formats; no other decoder is used."""

WHITE = 255
"""The background of transparent pixels and of the padding, as in the rendered images."""


class UploadedImage(NamedTuple):
    """An image padded to a square PNG, and the map of positions from the square to the original.

    size: (width, height) of the original, after its EXIF rotation. side: of the square, in pixels.
    corner: (left, top) of the original in the square.
    """

    png: bytes
    size: tuple[int, int]
    side: int
    corner: tuple[int, int]

    def xy(self, square_xy: np.ndarray) -> np.ndarray:
        """Return positions (..., 2) in the square as positions in the original."""
        return np.asarray((square_xy * self.side - self.corner) / self.size)


def read_image(content: bytes, max_pixels: int) -> UploadedImage:
    """Return an uploaded image: rotated by its EXIF tag, composed on white and padded to a square with white.

    Raises:
        ApiError: 415 if it is neither PNG nor JPEG, 413 if it has too many pixels, 422 if it is damaged.
    """
    kind = next((name for name, signature in SIGNATURES.items() if content.startswith(signature)), None)
    if kind is None:
        raise ApiError(415, "image: neither a PNG nor a JPEG")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large images, which are rejected below
            return _square(_opened(content, kind, max_pixels))
    except ApiError:
        raise
    except Exception as error:  # noqa: BLE001 (Pillow raises many types on damaged files)
        raise ApiError(422, f"image: a damaged {kind} ({type(error).__name__})") from None


def _opened(content: bytes, kind: str, max_pixels: int) -> Image.Image:
    """Return the image, not decoded yet, if its header has no more than `max_pixels`."""
    try:
        image: Image.Image = Image.open(io.BytesIO(content), formats=(kind,))
    except Image.DecompressionBombError:
        raise ApiError(413, f"image: far more than {max_pixels:,} pixels") from None
    if image.width * image.height > max_pixels:
        raise ApiError(413, f"image: {image.width:,} x {image.height:,} pixels; expected at most {max_pixels:,}")
    return ImageOps.exif_transpose(image)


def _square(image: Image.Image) -> UploadedImage:
    grey = _on_white(image)
    width, height = grey.size
    side = max(width, height)
    corner = (side - width) // 2, (side - height) // 2
    if width != height:
        square = Image.new(grey.mode, (side, side), WHITE if grey.mode == "L" else (WHITE,) * 3)
        square.paste(grey, corner)
        grey = square
    return UploadedImage(encode_png(np.asarray(grey)), (width, height), side, corner)


def _on_white(image: Image.Image) -> Image.Image:
    """Return any image as 8-bit grey or RGB; 16-bit values are divided, not clipped."""
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        image.load()
        return image
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, (WHITE,) * 4)
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("L" if image.mode in ("1", "LA") else "RGB")
