"""The objects that the chosen method is worst at: their images, with what was found and what is true in them.

A millimetre is a pixel or two of a whole image, so that each stands beside a crop of its landmark. Images are
made smaller for the page: 15 of heads at 512 px weigh 432 kB as they are, 139 kB as whole images of 256 px and
crops.
"""

import base64
import io
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featurelib.evaluation.axes import round_down
from featurelib.evaluation.markup import Markup, join, tag
from featurelib.geometry import SIDES, Rig

Floats = NDArray[np.floating]

WHOLE_PX = 256
"""Width of a whole image on the page, if it is larger."""

CLOSEUP_PX = 36
"""Least width of what a crop shows, in pixels of the image."""

MARGIN = 4
"""A crop is at least this many times as wide as found and true place are apart."""


@dataclass(frozen=True, eq=False)
class ReportImage:
    """One view of an object.

    png: the image. view: its number. azimuth_deg: of the view.
    found_xy, true_xy: (2, 2) positions of left and right in [0, 1], or (2,) of the near landmark; NaN where unknown.
    """

    png: bytes
    view: int
    azimuth_deg: float
    found_xy: Floats
    true_xy: Floats


@dataclass(frozen=True, eq=False)
class WorstObject:
    """An object, how far off its landmarks (left, right) are in mm, (2,), and what it looks like."""

    object_id: str
    projection: str
    error_mm: Floats
    images: tuple[ReportImage, ...]


class Window(NamedTuple):
    """A part of an image, in its pixels: its top-left corner, and its width and height."""

    left: float
    top: float
    width: float
    height: float


def worst_rows(errors_mm: Floats, count: int = 5) -> list[int]:
    """Return the rows of the `count` objects with the largest error of either landmark, the worst first.

    Args:
        errors_mm: (n, 2); objects without any answer have nothing to show and are left out.
        count: how many.
    """
    worst = np.where(np.isfinite(errors_mm), errors_mm, -np.inf).max(axis=1)
    order = np.argsort(-worst, kind="stable")[:count]
    return [int(i) for i in order if np.isfinite(worst[i])]


def views_to_show(rig: Rig, side: str) -> list[int]:
    """Return up to three views that see a side: straight at it, half way, and the most frontal one."""
    sign = 1 if side == SIDES[0] else -1
    facing = [sign * float(view.object_from_view[0, 2]) for view in rig.views]
    seeing = sorted((i for i, value in enumerate(facing) if value > -1e-6), key=lambda i: -facing[i])
    return list(dict.fromkeys(seeing[i] for i in (0, len(seeing) // 2, -1))) if seeing else []


def legend() -> Markup:
    """Return what the marks in the images mean."""
    found = tag("svg", _cross(10, 10, 6), viewBox="0 0 20 20", class_="key overlay-key", aria_hidden="true")
    true = tag("svg", _ring(10, 10, 6), viewBox="0 0 20 20", class_="key overlay-key", aria_hidden="true")
    return tag("ul", tag("li", found, "found"), tag("li", true, "true place"), class_="legend")


def card(worst: WorstObject, frame_mm: float | None) -> Markup:
    """Return an object's images below its name and its errors; `frame_mm` is the images' width, for a scale bar."""
    errors = ", ".join(
        f"{side} {error:.2f} mm" if np.isfinite(error) else f"{side} no answer"
        for side, error in zip(SIDES, worst.error_mm, strict=True)
    )
    return tag(
        "article",
        tag("h4", worst.object_id, " ", tag("span", errors, class_="muted")),
        tag("div", *(_view(worst, each, frame_mm) for each in worst.images), class_="views"),
        class_="card",
    )


def _view(worst: WorstObject, view_image: ReportImage, frame_mm: float | None) -> Markup:
    image: Image.Image = Image.open(io.BytesIO(view_image.png))
    found_px, true_px = (_pixels(xy, image) for xy in (view_image.found_xy, view_image.true_xy))
    whole = Window(0, 0, image.width, image.height)
    near = closeup(found_px, true_px, worst.error_mm, image)
    alt = f"{worst.object_id} from azimuth {view_image.azimuth_deg:g} degrees, with found and true landmarks"
    bar = None if frame_mm is None else _scale_bar(near, frame_mm / image.width)
    return tag(
        "figure",
        tag(
            "div",
            _shot(image, whole, alt, _dots(found_px, true_px, whole)),
            _shot(image, near, f"The same from near. {_apart(found_px, true_px)}", _dots(found_px, true_px, near), bar),
            class_="shots",
        ),
        tag("figcaption", f"view {view_image.view}, azimuth {view_image.azimuth_deg:g}°, and a crop"),
        class_="view",
    )


def closeup(found_px: Floats, true_px: Floats, error_mm: Floats, image: Image.Image) -> Window:
    """Return the part of an image around the worse landmark, or the one that is known, found and true place in it."""
    known = np.isfinite(np.hstack([found_px, true_px])).all(axis=1)
    if not known.any():
        return Window(0, 0, image.width, image.height)
    sides = np.nan_to_num(error_mm) if len(known) == len(SIDES) else np.zeros(len(known))
    k = int(np.where(known, sides, -1).argmax())
    apart = float(np.linalg.norm(found_px[k] - true_px[k]))
    size = min(max(CLOSEUP_PX, math.ceil(MARGIN * apart)), image.width, image.height)
    middle = np.clip((found_px[k] + true_px[k]) / 2, 0, (image.width, image.height))
    left, top = (round(float(np.clip(m - size / 2, 0, s - size))) for m, s in zip(middle, image.size, strict=True))
    return Window(left, top, size, size)


def _pixels(xy: Floats, image: Image.Image) -> Floats:
    """Return positions (1 or 2, 2) in pixels of the image."""
    return np.asarray(xy, dtype=np.float64).reshape(-1, 2) * image.size


def _shot(image: Image.Image, window: Window, alt: str, *drawn: Markup | None) -> Markup:
    """Return a part of an image with marks over it, whose coordinates are pixels of the whole image."""
    view_box = " ".join(f"{value:g}" for value in window)
    overlay = tag("svg", *drawn, viewBox=view_box, class_="overlay", aria_hidden="true")
    return tag("div", tag("img", src=_source(image, window), alt=alt, loading="lazy"), overlay, class_="shot")


def _source(image: Image.Image, window: Window) -> str:
    """Return a part of an image as a URL that holds it."""
    left, top, width, height = (int(value) for value in window)
    part = image.crop((left, top, left + width, top + height))
    if part.width > WHOLE_PX:
        part = part.resize((WHOLE_PX, round(WHOLE_PX * part.height / part.width)), Image.Resampling.BOX)
    file = io.BytesIO()
    part.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _dots(found_px: Floats, true_px: Floats, window: Window) -> Markup:
    """Return rings at the true places and crosses at the found ones, over lines that join them."""
    radius = window.width / 36
    names = [side[0].upper() for side in SIDES] if len(true_px) == len(SIDES) else [""]
    drawn: list[str | None] = []
    for name, found, true in zip(names, found_px, true_px, strict=True):
        has_found, has_true = np.isfinite(found).all(), np.isfinite(true).all()
        at = true if has_true else found
        drawn += [
            _twice("line", x1=found[0], y1=found[1], x2=true[0], y2=true[1], class_="apart")
            if has_found and has_true
            else None,
            _ring(true[0], true[1], radius) if has_true else None,
            _cross(found[0], found[1], radius) if has_found else None,
            _letter(name, at, window) if (has_found or has_true) and name else None,
        ]
    return join(*drawn)


def _ring(x: float, y: float, radius: float) -> Markup:
    return _twice("circle", cx=float(x), cy=float(y), r=float(radius), class_="true")


def _cross(x: float, y: float, radius: float) -> Markup:
    r = radius * 0.85
    return _twice(
        "path",
        d=f"M{x - r:.2f} {y - r:.2f}l{2 * r:.2f} {2 * r:.2f}m0 {-2 * r:.2f}l{-2 * r:.2f} {2 * r:.2f}",
        class_="found",
    )


def _twice(name: str, *, class_: str, **attributes: object) -> Markup:
    """Return a mark over its own wide pale shadow, so that it can be seen on any image."""
    return join(tag(name, **attributes, class_="halo"), tag(name, **attributes, class_=class_))


def _letter(name: str, at: Floats, window: Window) -> Markup:
    size = window.width / 16
    return tag("text", name, x=float(at[0] + size), y=float(at[1] - size / 2), style=_size(size), class_="side")


def _scale_bar(window: Window, mm_per_px: float) -> Markup:
    """Return a line of a round length in the lower left corner."""
    length_mm = round_down(0.4 * window.width * mm_per_px)
    x, y = window.left + 0.06 * window.width, window.top + 0.93 * window.height
    size = window.width / 14
    return join(
        _twice("line", x1=x, y1=y, x2=x + length_mm / mm_per_px, y2=y, class_="bar"),
        tag("text", f"{length_mm:g} mm", x=x, y=y - size / 2, style=_size(size), class_="side"),
    )


def _size(height: float) -> str:
    """Return a text's height in pixels of the image; as an attribute, the page's style would override it."""
    return f"font-size:{height:.2f}px"


def _apart(found_px: Floats, true_px: Floats) -> str:
    apart = np.linalg.norm(found_px - true_px, axis=1)
    names = SIDES if len(apart) == len(SIDES) else ("near landmark",)
    said = [f"{name} {px:.1f} pixels" for name, px in zip(names, apart, strict=True) if np.isfinite(px)]
    return f"Found and true place are apart by: {', '.join(said) or 'unknown'}."
