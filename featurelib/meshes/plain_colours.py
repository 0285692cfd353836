"""Leave out colours that are the same everywhere: they carry nothing, and black ones would hide the shading."""

import numpy as np
from numpy.typing import NDArray

from featurelib.meshes.readers.polygons import RawMesh

MAX_SPREAD = 2
"""Largest difference, of 255 levels, between the values of a channel that counts as one colour.

JPEG keeps an image of one colour exactly; with noise of half a level it differs by up to 2 at qualities from 50 to 95.
A photograph at 2 % of its brightness differs by 4, and is kept; at 1 % it differs by 2, and nothing can be seen in it.
"""

MAX_DARK = 10
"""Brightest value of a colour that hides the shading: of a head of 10, half of the pixels have one grey value."""

_STRIDE = 37
"""A sample of every 37th value decides for almost all meshes, in no time."""


def without_plain_colours(raw: RawMesh) -> RawMesh:
    """Return a mesh without colours, or without its texture, if they are one colour, with a note.

    Of a texture with several colours, as of a palette, the part that the mesh uses counts if it is nearly black.
    """
    if raw.uv is not None and raw.texture is not None:
        if (colour := _one_colour(raw.texture) or _one_colour(_used(raw.uv, raw.texture), MAX_DARK)) is not None:
            note = f"the texture is {colour} everywhere: drawn without it"
            return without_plain_colours(raw._replace(uv=None, texture=None, notes=(*raw.notes, note)))
    elif raw.colours is not None and (colour := _one_colour(raw.colours)) is not None:
        return raw._replace(colours=None, notes=(*raw.notes, f"colours are all {colour}: drawn without them"))
    return raw


def _one_colour(pixels: NDArray[np.uint8], highest: int = 255) -> str | None:
    """Return the only colour of pixels (..., 3), as `0 0 0`; None if there are several, or values above `highest`."""
    rows = pixels.reshape(-1, 3)
    if not len(rows) or _spread(rows[::_STRIDE]) > MAX_SPREAD or _spread(rows) > MAX_SPREAD or rows.max() > highest:
        return None
    return " ".join(f"{value:.0f}" for value in rows.mean(axis=0))


def _spread(rows: NDArray[np.uint8]) -> int:
    return int((rows.max(axis=0) - rows.min(axis=0)).max())


def _used(uv: NDArray[np.floating], texture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the part of a texture in the bounding box of texture positions (n, 2), all of it if they leave it."""
    low, high = uv.min(axis=0), uv.max(axis=0)
    if not ((low >= 0) & (high <= 1)).all():
        return texture
    height, width = texture.shape[:2]
    left, right = int(low[0] * width - 0.5), int(high[0] * width + 1.5)  # the pixels that bilinear sampling takes
    top, bottom = int((1 - high[1]) * height - 0.5), int((1 - low[1]) * height + 1.5)
    return texture[max(top, 0) : bottom, max(left, 0) : right]
