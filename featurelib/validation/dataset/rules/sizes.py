"""Rules on sizes: units, and the image width."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from featurelib.datasets.shards.frame import FRAME_MARGIN
from featurelib.geometry import MM_PER_UNIT
from featurelib.validation.dataset.finding import Finding
from featurelib.validation.dataset.measure import Measurement
from featurelib.validation.dataset.survey import Survey

USUAL_MM = (5.0, 5000.0)
"""Usual sizes of scanned objects, from a tooth to a car; other sizes suggest a wrong unit."""

WIDENS = 1.6
"""An object that needs this many times the median image width makes the images too wide for the others. Of 400 heads
and of 60 synthetic busts the widest needs 1.2 times."""

ODD_SIGMAS, ODD_RATIO, LEAST_SIGMA = 6.0, 2.0, 0.05
"""A size is odd beyond this many standard deviations of the logarithm (each at least LEAST_SIGMA) and this ratio."""

SAME_UNIT = 0.35
"""Largest difference of the logarithm of an object's size, converted to another unit, from the others' sizes."""


def size_of_the_dataset(survey: Survey) -> Iterator[Finding]:
    """The objects' size, which only a person can judge, and a warning if it is unusual."""
    if not survey.measured:
        return
    sizes_mm = [row.size_mm for row in survey.measured]
    low, median, high = np.percentile(sizes_mm, [5, 50, 95])
    unit = survey.dataset.unit
    message = (
        f"objects are {median:.4g} mm in size (median diagonal; 5 % to 95 %: {low:.4g} to {high:.4g}), unit {unit}"
    )
    if USUAL_MM[0] <= median <= USUAL_MM[1]:
        yield Finding("size", "note", None, message, "if this is wrong, correct `unit` in dataset.json")
        return
    plain_mm = median / MM_PER_UNIT[unit]
    better = [u for u, mm in MM_PER_UNIT.items() if USUAL_MM[0] <= plain_mm * mm <= USUAL_MM[1]]
    advice = " or ".join(f"{u} ({plain_mm * MM_PER_UNIT[u]:.4g} mm)" for u in better) or "another one"
    yield Finding("size", "warning", None, message, f"if this is wrong, `unit` in dataset.json may be {advice}")


def wrong_units(survey: Survey) -> Iterator[Finding]:
    """Objects far larger or smaller than the others, for example in metres among millimetres."""
    for object_id, log_ratio in _odd_sizes(survey).items():
        if object_id in survey.with_strays:
            continue  # `stray_parts` explains its size
        typical_mm = math.exp(survey.typical_size_mm.median)
        message = f"{typical_mm * math.exp(log_ratio):.4g} mm in size; the others' median is {typical_mm:.4g} mm"
        here = MM_PER_UNIT[survey.dataset.unit]
        gaps = {unit: abs(math.log(here / mm) - log_ratio) for unit, mm in MM_PER_UNIT.items()}
        unit = min(gaps, key=lambda name: gaps[name])
        if gaps[unit] < SAME_UNIT:
            factor = MM_PER_UNIT[unit] / here
            message += f": as if in {unit} among {survey.dataset.unit}"
            yield Finding("unit", "error", object_id, message, f"multiply its vertices and labels by {factor:.4g}")
        else:
            fix = "check the mesh: another unit, stray points far away, or another kind of object"
            yield Finding("unit", "warning", object_id, message, fix)


def stray_parts(survey: Survey) -> Iterator[Finding]:
    """Objects with parts far from the rest, which move the centre at which the cameras aim and widen the images."""
    for row in survey.measured:
        if row.strays is not None:
            parts, faces, far_mm, rest_mm = row.strays
            message = (
                f"{parts} part{'s' * (parts > 1)} with {faces:,} of its {row.num_faces:,} faces, up to {far_mm:.4g} mm "
                f"from the rest: it is {row.size_mm:.4g} mm in size, and {rest_mm:.4g} mm without"
            )
            yield Finding("stray", "warning", row.object_id, message, "delete what does not belong to the object")


def frame_of_the_images(survey: Survey) -> Iterator[Finding]:
    """The image width that `render` would estimate, and objects that make it much wider than the others need."""
    if not survey.frames_mm:
        return
    widths = ", ".join(f"{mm:g} mm wide ({projection})" for projection, mm in survey.frames_mm.items())
    yield Finding("frame", "note", None, f"images would be {widths}", "`render --frame-mm` sets another width")
    for projection, frame_mm in survey.frames_mm.items():
        typical_mm = float(np.median([row.frames_mm[projection] for row in survey.measured]))
        if frame_mm < WIDENS * FRAME_MARGIN * typical_mm:
            continue
        for row in survey.measured:
            needed_mm = row.frames_mm[projection]
            if WIDENS * typical_mm < needed_mm <= frame_mm:
                message = (
                    f"it needs an image {needed_mm:.4g} mm wide ({projection}); "
                    f"the median object needs {typical_mm:.4g} mm"
                )
                fix = "all images get this width; crop it, or set --frame-mm"
                yield Finding("frame", "warning", row.object_id, message, fix)
        return


def cut_by_the_frame(survey: Survey) -> Iterator[Finding]:
    """Objects or landmarks that do not fit into the image width that `render` would estimate."""
    odd = _odd_sizes(survey)
    for row in survey.measured:
        for what, needed_mm in {"it": row.frames_mm, **_needed_by_landmark(survey, row)}.items():
            cut = {p: mm for p, mm in needed_mm.items() if mm > survey.frames_mm[p]}
            if cut and row.object_id not in odd:
                projection, mm = max(cut.items(), key=lambda item: item[1])
                frame_mm = survey.frames_mm[projection]
                message = f"{what} would need an image {mm:.4g} mm wide ({projection}); images get {frame_mm:g} mm"
                fix = f"`render` would reject it; crop it, or set --frame-mm {math.ceil(mm)}"
                yield Finding("frame", "warning", row.object_id, message, fix)
                break


def _needed_by_landmark(survey: Survey, row: Measurement) -> dict[str, Mapping[str, float]]:
    """Return the image widths that the landmark farthest from the object's centre needs, by projection."""
    if row.labels is None:
        return {}
    farthest = int(np.nanargmax(next(iter(row.labels.frames_mm.values()))))
    return {f"its {survey.names[farthest]}": {p: float(mm[farthest]) for p, mm in row.labels.frames_mm.items()}}


def _odd_sizes(survey: Survey) -> dict[str, float]:
    """Return the logarithm of size over median size, by id, for objects of odd size."""
    if not survey.has_spread:
        return {}
    median, sigma = survey.typical_size_mm
    limit = max(ODD_SIGMAS * max(sigma, LEAST_SIGMA), math.log(ODD_RATIO))
    ratios = {row.object_id: math.log(row.size_mm) - median for row in survey.measured}
    return {object_id: ratio for object_id, ratio in ratios.items() if abs(ratio) > limit}
