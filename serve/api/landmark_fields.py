"""The fields of a set's landmarks in a response, by name and in the order of the set.

Numbers are rounded far below any error, so that a response with 80 landmarks stays small.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.geometry import SIDES, LandmarkSet

Noise = NDArray[np.float64] | None
"""Root mean square errors of near positions in shares of the image: (s, v, 2) by slot and view, or (s, 2) of one view;
None if not known."""

XY_DECIMALS, PX_DECIMALS, MM_DECIMALS = 7, 4, 9

Fields = dict[str, Any]


class FoundInImage(NamedTuple):
    """The detection of a set's k landmarks in one image.

    xy: (k, 2). visible: (k,) NaN from a detector with one position for a pair. near: (s,) 0 or 1 by slot, -1 if not
    known. sigma_xy: (s, 2) in shares of `width`, in pixels. size: width and height of the image, in pixels.
    """

    landmarks: LandmarkSet
    xy: NDArray[np.floating]
    visible: NDArray[np.floating]
    near: NDArray[np.intp]
    sigma_xy: Noise
    size: tuple[int, int]
    width: int

    @property
    def has_sides(self) -> bool:
        """Whether the detector finds both of a pair."""
        return bool(np.isfinite(self.visible).all())

    def fields(self) -> list[Fields]:
        """Return the fields of each LandmarkDetection."""
        near, slot_of = near_flags(self.landmarks, self.near), self.landmarks.slot_of
        has_position = [flag is not False or seen for flag, seen in zip(near, np.isfinite(self.visible), strict=True)]
        xy = np.where(np.array(has_position)[:, None], self.xy, np.nan)
        sigma_xy = np.full((len(self.landmarks.slots), 2), np.nan) if self.sigma_xy is None else self.sigma_xy
        sigma_px = self.width * sigma_xy[slot_of]
        columns = {
            "name": self.landmarks.names,
            "xy": listed(xy, XY_DECIMALS),
            "px": listed(xy * self.size, PX_DECIMALS),
            "sigma_px": listed(np.hypot(*sigma_px.T), PX_DECIMALS),
            "sigma_xy_px": listed(sigma_px, PX_DECIMALS),
            "visible": listed(self.visible, PX_DECIMALS),
            "near": near,
        }
        return rows_of(columns)

    def pair_fields(self) -> Fields:
        """Return the fields of the near one of a set's only pair, and of both."""
        index = max(0, int(self.near[0]))
        sigma_xy = None if self.sigma_xy is None else self.sigma_xy[0]
        both = [{**position(xy, self.size), "visible": float(v)} for xy, v in zip(self.xy, self.visible, strict=True)]
        return {
            **position(self.xy[index], self.size),
            "sigma_px": None if sigma_xy is None else self.width * float(np.hypot(*sigma_xy)),
            "sigma_xy_px": None if sigma_xy is None else (self.width * sigma_xy).tolist(),
            "pair": dict(zip(SIDES, both, strict=True)) if self.has_sides else None,
        }


def near_flags(landmarks: LandmarkSet, near: Iterable[int]) -> list[bool | None]:
    """Return for each of k landmarks whether it is the nearer one of its pair, from near (s,); None if not known.

    Midline and unpaired landmarks are.
    """
    flags: list[bool | None] = [True] * len(landmarks.names)
    for of_pair, nearer in zip(landmarks.slots[: len(landmarks.pairs)].tolist(), near, strict=False):
        for place, index in enumerate(of_pair):
            flags[index] = bool(nearer == place) if nearer >= 0 else None
    return flags


def position(xy: NDArray[np.floating], size: tuple[int, int]) -> Fields:
    """Return the fields of a position (2,) in an image of width and height."""
    return {"xy": xy.tolist(), "px": (xy * size).tolist()}


def listed(values: ArrayLike, decimals: int = MM_DECIMALS) -> list[Any]:
    """Return numbers (k, ...), rounded, as k entries for JSON; an entry with a NaN is None."""
    array = np.asarray(values, dtype=np.float64)
    rows: list[Any] = array.round(decimals).tolist()
    is_known = np.asarray(np.isfinite(array))
    if is_known.all():
        return rows
    known = np.asarray(is_known.reshape(len(array), -1).all(axis=1)).tolist()
    return [row if whole else None for row, whole in zip(rows, known, strict=True)]


def rows_of(columns: Mapping[str, Sequence[Any]]) -> list[Fields]:
    """Return one set of fields for each landmark, from columns of k values."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
