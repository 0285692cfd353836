"""The objects on which the chosen method is worst: their images with the predicted and the true landmarks.

A millimetre is only a pixel or two of a whole image, so each image comes with a crop around one landmark. Images are
downsized for the page: 15 of heads at 512 px take 432 kB as they are, and 139 kB as whole images of 256 px and crops.
"""

import io
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featurelib.evaluation.plots import round_down
from featurelib.geometry import SIDES, Rig

Floats = NDArray[np.floating]

WHOLE_PX = 256
"""Largest width of a whole image on the page."""

CROP_PX = 36
"""Smallest width of a crop, in pixels of the image."""

MARGIN = 4
"""A crop is at least this many times as wide as the predicted and true positions are apart."""


@dataclass(frozen=True, eq=False)
class ReportImage:
    """One view of an object.

    png: the image. view: its number. azimuth_deg: of the view.
    found_xy, true_xy: (2, 2) positions of left and right in [0, 1]; NaN where unknown.
    """

    png: bytes
    view: int
    azimuth_deg: float
    found_xy: Floats
    true_xy: Floats


@dataclass(frozen=True, eq=False)
class WorstObject:
    """An object, the errors (2,) of its landmarks (left, right) in mm, and its images."""

    object_id: str
    projection: str
    error_mm: Floats
    images: tuple[ReportImage, ...]

    @property
    def errors(self) -> str:
        """The errors as text."""
        return _by_side(self.error_mm, "{:.2f} mm", "no answer")


class Window(NamedTuple):
    """A part of an image in its pixels: its top-left corner, its width and its height."""

    left: float
    top: float
    width: float
    height: float


class Shot(NamedTuple):
    """A part of an image on the page, with marks in pixels of the whole image.

    found, true: (x, y) by side, where known. bar: length in mm and in px of a scale bar, if there is one.
    """

    png: bytes
    alt: str
    window: Window
    found: dict[str, list[float]]
    true: dict[str, list[float]]
    bar: tuple[float, float] | None = None


def worst_rows(errors_mm: Floats, count: int = 5) -> list[int]:
    """Return the rows of the `count` objects with the largest error of either landmark, the worst first.

    Args:
        errors_mm: (n, 2); objects without any answer are left out.
        count: maximum number of rows.
    """
    worst = np.where(np.isfinite(errors_mm), errors_mm, -np.inf).max(axis=1)
    order = np.argsort(-worst, kind="stable")[:count]
    return [int(i) for i in order if np.isfinite(worst[i])]


def views_to_show(rig: Rig, side: str) -> list[int]:
    """Return up to three views that see a side: the one that faces it most, the median one and the most frontal one."""
    sign = 1 if side == SIDES[0] else -1
    facing = [sign * float(view.object_from_view[0, 2]) for view in rig.views]
    seeing = sorted((i for i, value in enumerate(facing) if value > -1e-6), key=lambda i: -facing[i])
    return list(dict.fromkeys(seeing[i] for i in (0, len(seeing) // 2, -1))) if seeing else []


def shots(worst: WorstObject, view_image: ReportImage, frame_mm: float | None) -> tuple[Shot, Shot]:
    """Return a whole image, and a crop with a scale bar if `frame_mm`, the width of the image, is known."""
    image: Image.Image = Image.open(io.BytesIO(view_image.png))
    found_px, true_px = (np.asarray(xy, float) * image.size for xy in (view_image.found_xy, view_image.true_xy))
    marks = _known(found_px), _known(true_px)
    whole, near = Window(0, 0, *image.size), crop(found_px, true_px, worst.error_mm, image)
    alt = f"{worst.object_id} from azimuth {view_image.azimuth_deg:g} degrees, with predicted and true landmarks"
    distances = _by_side(np.linalg.norm(found_px - true_px, axis=1), "{:.1f} pixels", "unknown")
    return (
        Shot(_png(image, whole), alt, whole, *marks),
        Shot(
            _png(image, near),
            f"Crop. Distance of predicted and true position: {distances}.",
            near,
            *marks,
            None if frame_mm is None else _scale_bar(near, frame_mm / image.width),
        ),
    )


def crop(found_px: Floats, true_px: Floats, error_mm: Floats, image: Image.Image) -> Window:
    """Return the part of an image around both positions of the worse landmark, or of the one that is known."""
    known = np.isfinite(np.hstack([found_px, true_px])).all(axis=1)
    if not known.any():
        return Window(0, 0, *image.size)
    k = int(np.where(known, np.nan_to_num(error_mm), -1).argmax())
    apart = float(np.linalg.norm(found_px[k] - true_px[k]))
    size = min(max(CROP_PX, math.ceil(MARGIN * apart)), *image.size)
    middle = np.clip((found_px[k] + true_px[k]) / 2, 0, image.size)
    left, top = (round(float(np.clip(m - size / 2, 0, s - size))) for m, s in zip(middle, image.size, strict=True))
    return Window(left, top, size, size)


def _known(px: Floats) -> dict[str, list[float]]:
    return {side: xy.round(2).tolist() for side, xy in zip(SIDES, px, strict=True) if np.isfinite(xy).all()}


def _png(image: Image.Image, window: Window) -> bytes:
    """Return a part of an image as a PNG file, downsized to WHOLE_PX."""
    left, top, width, height = (int(value) for value in window)
    part = image.crop((left, top, left + width, top + height))
    if part.width > WHOLE_PX:
        part = part.resize((WHOLE_PX, round(WHOLE_PX * part.height / part.width)), Image.Resampling.BOX)
    file = io.BytesIO()
    part.save(file, "PNG", optimize=True)
    return file.getvalue()


def _scale_bar(window: Window, mm_per_px: float) -> tuple[float, float]:
    length_mm = round_down(0.4 * window.width * mm_per_px)
    return length_mm, length_mm / mm_per_px


def _by_side(values: Floats, text: str, unknown: str) -> str:
    """Return a text per side."""
    return ", ".join(
        f"{side} {text.format(value) if np.isfinite(value) else unknown}"
        for side, value in zip(SIDES, values, strict=True)
    )
