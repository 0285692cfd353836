"""Textures inside a mesh file: checked for their size before they are decoded, and joined to one image.

Only PNG, JPEG and WebP are decoded: other decoders of Pillow start programs (EPS) or are less tested with bad input.
"""

import io
import struct
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits

FORMATS = ("PNG", "JPEG", "WEBP")
"""The formats of glTF; WebP needs EXT_texture_webp."""

_ONE_AT_A_TIME = threading.Lock()


def unread_kind(data: bytes) -> str:
    """Return the name of an image's format if it is not decoded; empty if it is."""
    if data.startswith((b"\x89PNG", b"\xff\xd8\xff")):
        return ""
    if data.startswith(b"\xabKTX"):
        return "KTX2"
    with _quiet():
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS):
                return ""
        except Image.DecompressionBombError:
            return ""  # its size is refused
        except Exception:  # noqa: BLE001 (damaged bytes make Pillow raise any error)
            return "of an unknown format"


def image_size(data: bytes) -> tuple[int, int]:
    """Return the width and height from an image's header, without decoding it.

    Raises:
        DataError: if the bytes are not a PNG, JPEG or WebP.
    """
    if data.startswith(b"\x89PNG") and len(data) >= 24:  # Pillow rejects large ones without their size
        width, height = struct.unpack_from(">2I", data, 16)
        return width, height
    with _quiet():
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return image.size
        except Image.DecompressionBombError as error:
            raise DataError(f"a texture is too large to be decoded ({error}); scale it down") from None
        except Exception:  # noqa: BLE001 (damaged bytes make Pillow raise any error)
            raise DataError("a texture is not a PNG, JPEG or WebP; convert it, or export without it") from None


def refuse_large(images: Sequence[bytes], limits: Limits) -> None:
    """Raise DataError if the images' headers announce more pixels together than the limit."""
    total = 0
    for data in images:
        width, height = image_size(data)
        total += width * height
        if total > limits.max_texture_pixels:
            raise DataError(
                f"a texture has {width:,} x {height:,} pixels, {total:,} in total; expected at most "
                f"{limits.max_texture_pixels:,} (scale it down)"
            )


def decode(data: bytes) -> NDArray[np.uint8]:
    """Return the (h, w, 3) pixels of an image whose size has been checked.

    Raises:
        DataError: if the image is damaged.
    """
    with _quiet():
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return np.array(image.convert("RGB"), dtype=np.uint8)
        except Exception as error:  # noqa: BLE001 (as above)
            reason = " ".join(str(error).partition(" <")[0].split())[:100]  # Pillow prints its BytesIO
            raise DataError(f"a texture cannot be decoded ({reason}); export it again") from None


def join_textures(
    uvs: Sequence[NDArray[np.floating]], textures: Sequence[NDArray[np.uint8]], limits: Limits
) -> tuple[NDArray[np.floating], NDArray[np.uint8]]:
    """Return uv (n, 2) and texture of all parts together; several textures are joined to an atlas.

    Args:
        uvs: (k, 2) of each part, with (0, 0) at the bottom-left corner of its texture.
        textures: (h, w, 3) of each part; the same array where parts share one.
        limits: for the pixels.

    Raises:
        DataError: if the atlas has more than twice the pixels of the limit.
    """
    distinct = list({id(texture): texture for texture in textures}.values())
    if len(distinct) == 1:
        return np.concatenate(uvs), distinct[0]
    atlas, corners = _atlas(distinct, limits)
    corner_of = {id(texture): corner for texture, corner in zip(distinct, corners, strict=True)}
    placed = [
        _placed(uv, texture.shape, corner_of[id(texture)], atlas.shape)
        for uv, texture in zip(uvs, textures, strict=True)
    ]
    return np.concatenate(placed), atlas


def _atlas(textures: Sequence[NDArray[np.uint8]], limits: Limits) -> tuple[NDArray[np.uint8], list[tuple[int, int]]]:
    """Return an image with all textures, in rows of decreasing height, and the (left, top) pixel of each."""
    total = sum(texture.shape[0] * texture.shape[1] for texture in textures)
    width = max(int(np.ceil(np.sqrt(total))), *(texture.shape[1] for texture in textures))
    corners = [(0, 0)] * len(textures)
    left, top, bottom = 0, 0, 0
    for index in sorted(range(len(textures)), key=lambda index: -textures[index].shape[0]):
        height, texture_width = textures[index].shape[:2]
        if left + texture_width > width:
            left, top = 0, bottom
        corners[index] = left, top
        left, bottom = left + texture_width, max(bottom, top + height)
    if width * bottom > 2 * limits.max_texture_pixels:
        raise DataError(
            f"{len(textures)} textures need {width:,} x {bottom:,} pixels together; expected at most "
            f"{2 * limits.max_texture_pixels:,} (scale them down)"
        )
    atlas = np.zeros((bottom, width, 3), dtype=np.uint8)
    for texture, (x, y) in zip(textures, corners, strict=True):
        atlas[y : y + texture.shape[0], x : x + texture.shape[1]] = texture
    return atlas, corners


def _placed(
    uv: NDArray[np.floating], hw: tuple[int, ...], left_top: tuple[int, int], atlas_hw: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return uv (n, 2) of a texture as uv of the atlas, half a pixel inside, so that its neighbours do not show."""
    size = np.array([hw[1], hw[0]])
    inside = np.nan_to_num(uv.astype(np.float64))
    inside = np.where((inside < 0) | (inside > 1), inside % 1, inside)  # repeats textures, but not across a face
    pixels = np.clip(inside * size, 0.5, size - 0.5)
    left_bottom = np.array([left_top[0], atlas_hw[0] - left_top[1] - hw[0]])
    return np.asarray((left_bottom + pixels) / np.array([atlas_hw[1], atlas_hw[0]]))


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress Pillow's warnings; one thread at a time, because the filters are global."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
