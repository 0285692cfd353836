"""The objects on which the chosen method is worst: their images with the predicted and the true landmarks.

A millimetre is only a pixel or two of a whole image, so each image comes with a crop around one landmark. Images are
downsized for the page: 15 of heads at 512 px take 432 kB as they are, and 139 kB as whole images of 256 px and crops.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featurelib.evaluation.plots import round_down
from featurelib.geometry import SIDES, LandmarkSet, Rig

Floats = NDArray[np.floating]

WHOLE_PX = 256
"""Largest width of a whole image on the page."""

CROP_PX = 36
"""Smallest width of a crop, in pixels of the image."""

FEW = 4
"""Landmarks up to which all are named in texts; of more, the worst ones."""

NAMED = 3
"""Landmarks that are named of more than FEW."""

MARGIN = 4
"""A crop is at least this many times as wide as the predicted and true positions are apart."""


@dataclass(frozen=True, eq=False)
class ReportImage:
    """One view of an object.

    png: the image. view: its number. azimuth_deg: of the view.
    found_xy, true_xy: (k, 2) positions of the landmarks in [0, 1]; NaN where unknown.
    """

    png: bytes
    view: int
    azimuth_deg: float
    found_xy: Floats
    true_xy: Floats


@dataclass(frozen=True, eq=False)
class WorstObject:
    """An object, its landmark set, the errors (k,) of its landmarks in mm, and its images.

    An error is NaN without an answer or a label.
    """

    object_id: str
    projection: str
    landmarks: LandmarkSet
    error_mm: Floats
    images: tuple[ReportImage, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the landmarks; of a single pair, its sides."""
        return SIDES if self.landmarks.is_single_pair else self.landmarks.names

    @property
    def errors(self) -> str:
        """The errors as text; of many landmarks, the largest ones and the median."""
        known = self.error_mm[np.isfinite(self.error_mm)]
        median = f"; median of {len(known)}: {np.median(known):.2f} mm" if len(self.error_mm) > FEW else ""
        return _by_name(self.names, self.error_mm, self.error_mm, "{:.2f} mm", "no answer") + median


class Window(NamedTuple):
    """A part of an image in its pixels: its top-left corner, its width and its height."""

    left: float
    top: float
    width: float
    height: float


class Mark(NamedTuple):
    """A landmark on an image: its role and its label, which may be empty, and (x, y) in pixels of the whole image."""

    role: str
    label: str
    found: list[float] | None
    true: list[float] | None


class Shot(NamedTuple):
    """A part of an image on the page, with its marks.

    bar: length in mm and in px of a scale bar, if there is one.
    """

    png: bytes
    alt: str
    window: Window
    marks: tuple[Mark, ...]
    bar: tuple[float, float] | None = None


def worst_rows(errors_mm: Floats, count: int = 5) -> list[int]:
    """Return the rows of the `count` objects with the largest error of any landmark, the worst first.

    Args:
        errors_mm: (n, k); objects without any answer are left out.
        count: maximum number of rows.
    """
    worst = np.where(np.isfinite(errors_mm), errors_mm, -np.inf).max(axis=1)
    order = np.argsort(-worst, kind="stable")[:count]
    return [int(i) for i in order if np.isfinite(worst[i])]


def worst_first(error_mm: Floats) -> NDArray[np.intp]:
    """Return the indices of landmarks in descending order of their errors (k,); those without one are last."""
    return np.argsort(-np.where(np.isfinite(error_mm), error_mm, -1.0), kind="stable")


def views_to_show(rig: Rig, side: str | None) -> list[int]:
    """Return up to three views that see a side: the one that faces it most, the median one and the most frontal one.

    Without a side these are the first, the median and the last view.
    """
    sign = dict(zip(SIDES, (1, -1), strict=True)).get(side or "", 0)
    facing = [sign * float(view.object_from_view[0, 2]) for view in rig.views]
    seeing = sorted((i for i, value in enumerate(facing) if value > -1e-6), key=lambda i: -facing[i])
    return list(dict.fromkeys(seeing[i] for i in (0, len(seeing) // 2, -1))) if seeing else []


def shots(worst: WorstObject, view_image: ReportImage, frame_mm: float | None) -> tuple[Shot, Shot]:
    """Return a whole image, and a crop with a scale bar if `frame_mm`, the width of the image, is known."""
    image: Image.Image = Image.open(io.BytesIO(view_image.png))
    found_px, true_px = (np.asarray(xy, float) * image.size for xy in (view_image.found_xy, view_image.true_xy))
    marks = _marks(worst, found_px, true_px)
    whole, near = Window(0, 0, *image.size), crop(found_px, true_px, worst.error_mm, image)
    alt = f"{worst.object_id} from azimuth {view_image.azimuth_deg:g} degrees, with predicted and true landmarks"
    apart_px = np.linalg.norm(found_px - true_px, axis=1)
    distances = _by_name(worst.names, apart_px, worst.error_mm, "{:.1f} pixels", "unknown")
    return (
        Shot(_png(image, whole), alt, whole, marks),
        Shot(
            _png(image, near),
            f"Crop. Distance of predicted and true position: {distances}.",
            near,
            marks,
            None if frame_mm is None else _scale_bar(near, frame_mm / image.width),
        ),
    )


def crop(found_px: Floats, true_px: Floats, error_mm: Floats, image: Image.Image) -> Window:
    """Return the part of an image around both positions of the worst landmark of those whose positions are known."""
    known = np.isfinite(np.hstack([found_px, true_px])).all(axis=1)
    if not known.any():
        return Window(0, 0, *image.size)
    k = int(np.where(known, np.nan_to_num(error_mm), -1).argmax())
    apart = float(np.linalg.norm(found_px[k] - true_px[k]))
    size = min(max(CROP_PX, math.ceil(MARGIN * apart)), *image.size)
    middle = np.clip((found_px[k] + true_px[k]) / 2, 0, image.size)
    left, top = (round(float(np.clip(m - size / 2, 0, s - size))) for m, s in zip(middle, image.size, strict=True))
    return Window(left, top, size, size)


def _marks(worst: WorstObject, found_px: Floats, true_px: Floats) -> tuple[Mark, ...]:
    """Return the marks of the landmarks with a known position; of a single pair both are labelled, else the worst."""
    landmarks, names = worst.landmarks, worst.names
    order = [0, 1] if landmarks.is_single_pair else worst_first(worst.error_mm)[::-1].tolist()  # the worst is on top
    labels = dict(enumerate("LR")) if landmarks.is_single_pair else {order[-1]: names[order[-1]]}
    marks = (Mark(landmarks.roles[k], labels.get(k, ""), _known(found_px[k]), _known(true_px[k])) for k in order)
    return tuple(mark for mark in marks if mark.found or mark.true)


def _known(xy: Floats) -> list[float] | None:
    return xy.round(2).tolist() if np.isfinite(xy).all() else None


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


def _by_name(names: Sequence[str], values: Floats, error_mm: Floats, text: str, unknown: str) -> str:
    """Return a text per landmark; of many, those with the largest errors."""
    shown = range(len(names)) if len(names) <= FEW else worst_first(error_mm)[:NAMED]
    return ", ".join(f"{names[k]} {text.format(values[k]) if np.isfinite(values[k]) else unknown}" for k in shown)
