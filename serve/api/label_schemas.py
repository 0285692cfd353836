"""Requests and responses of the routes for labels: positions in millimetres, object frame."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from featurelib.datasets.annotation_history import Source
from serve.api.requests import Strict

Finite = Annotated[float, Field(allow_inf_nan=False)]
Xyz = Annotated[tuple[Finite, Finite, Finite], Field(description="millimetres, object frame")]


class LabelledObject(BaseModel):
    """Whether each landmark of an object of the dataset is placed or absent, and how many are."""

    object_id: str
    labelled: bool
    num_labelled: int


class RepeatSummary(BaseModel):
    """The median distance of `n` pairs of independent marks, of `objects` objects, and the error of a single mark."""

    n: int
    objects: int
    distance_mm: float
    floor_mm: float


class LabelList(BaseModel):
    """A page of the dataset's objects, sorted; `repeats` is null if nothing was marked twice."""

    total: int
    offset: int
    objects: list[LabelledObject]
    repeats: RepeatSummary | None


class PlacedPoint(Strict):
    """The position of a landmark."""

    xyz: Xyz


Point = PlacedPoint | Literal["absent"] | None
"""A landmark's label: its position, `absent` if it does not exist on the object, null if it is not labelled."""


class LabelRequest(Strict):
    """All or some landmarks of an object by name, and the version of the label that they change.

    Landmarks that are not named keep their label. For a set of one pair also both by side. `sources` says by name how a
    label was made: from an accepted `proposal`, `corrected` from a position that was shown, or `marked` without one.
    """

    points: dict[str, Point] = Field(default_factory=dict)
    left_mm: Xyz | None = None
    right_mm: Xyz | None = None
    sources: dict[str, Source] = Field(default_factory=dict)
    version: Annotated[str, Field(max_length=64)]


class RepeatRequest(Strict):
    """Second marks of some landmarks, made without the first ones in view."""

    points: Annotated[dict[str, PlacedPoint], Field(min_length=1)]


class LabelResponse(BaseModel):
    """An object's label in the object frame, in the order of the set; `version` changes with the label.

    For a set of one pair also both by side; they are null if not labelled. `sources` has how each label was made, null
    if that is not known. `repeats_mm` has the median distance between independent marks of the landmarks that have two.
    """

    object_id: str
    points: dict[str, Point]
    left_mm: tuple[float, float, float] | None = None
    right_mm: tuple[float, float, float] | None = None
    sources: dict[str, Source | None]
    repeats_mm: dict[str, float]
    version: str
