"""An uploaded image to a PNG that the detector may decode, or one line on what is wrong with it."""

import io
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from featurelib.datasets.shards import encode_png
from serve.api.errors import ApiError

SIGNATURES = {"PNG": b"\x89PNG\r\n\x1a\n", "JPEG": b"\xff\xd8\xff"}
"""How files of the formats that are read begin; no other decoder is ever tried."""

WHITE = 255
"""Behind what is transparent and beside what is not square: the images that the detector knows have it too."""


class UploadedImage(NamedTuple):
    """An image as a square PNG, with what takes positions in it back to the one that came.

    size: (width, height) of the one that came, as it is to be looked at. side: of the square, in pixels.
    corner: (left, top) of the one that came, in the square.
    """

    png: bytes
    size: tuple[int, int]
    side: int
    corner: tuple[int, int]

    def xy(self, square_xy: np.ndarray) -> np.ndarray:
        """Return a position (2,) in the square as one in the image that came."""
        return np.asarray((square_xy * self.side - self.corner) / self.size)


def read_image(content: bytes, max_pixels: int) -> UploadedImage:
    """Return an uploaded image: turned as its EXIF says, on white, made square by white margins.

    Raises:
        ApiError: 415 if it is neither PNG nor JPEG, 413 if it has too many pixels, 422 if it is damaged.
    """
    kind = next((name for name, signature in SIGNATURES.items() if content.startswith(signature)), None)
    if kind is None:
        raise ApiError(415, "image: neither a PNG nor a JPEG")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large images, which are refused below
            return _square(_opened(content, kind, max_pixels))
    except ApiError:
        raise
    except Exception as error:  # noqa: BLE001 (unchecked bytes make Pillow raise any error)
        raise ApiError(422, f"image: a damaged {kind} ({type(error).__name__})") from None


def _opened(content: bytes, kind: str, max_pixels: int) -> Image.Image:
    """Return the image once its header says that it may be decoded."""
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
    """Return 8-bit grey or RGB of any image; 16 bits are divided, not cut off."""
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        image.load()
        return image
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, (WHITE,) * 4)
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("L" if image.mode in ("1", "LA") else "RGB")
