"""The routes for labels: HTTP has millimetres in the object frame, `landmarks.csv` the source frame and unit."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from fastapi import FastAPI, Path, Query
from pydantic import BaseModel, Field

from featurelib.datasets.annotations import Label, read_label, read_labels, save_label
from featurelib.datasets.dataset import Dataset
from featurelib.errors import ConflictError
from featurelib.geometry import LandmarkSet, apply, inverse
from serve.api.errors import ApiError, documented
from serve.api.requests import Strict

ObjectIdPath = Annotated[str, Path(max_length=256)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Xyz = Annotated[tuple[Finite, Finite, Finite], Field(description="millimetres, object frame")]


class LabelledObject(BaseModel):
    """Whether each landmark of an object of the dataset is placed or absent, and how many are."""

    object_id: str
    labelled: bool
    num_labelled: int


class LabelList(BaseModel):
    """A page of the dataset's objects, sorted."""

    total: int
    offset: int
    objects: list[LabelledObject]


class PlacedPoint(Strict):
    """The position of a landmark."""

    xyz: Xyz


Point = PlacedPoint | Literal["absent"] | None
"""A landmark's label: its position, `absent` if it does not exist on the object, null if it is not labelled."""


class LabelRequest(Strict):
    """All or some landmarks of an object by name, and the version of the label that they change.

    Landmarks that are not named keep their label. For a set of one pair also both by side.
    """

    points: dict[str, Point] = Field(default_factory=dict)
    left_mm: Xyz | None = None
    right_mm: Xyz | None = None
    version: Annotated[str, Field(max_length=64)]


class LabelResponse(BaseModel):
    """An object's label in the object frame, in the order of the set; `version` changes with the label.

    For a set of one pair also both by side; they are null if not labelled.
    """

    object_id: str
    points: dict[str, Point]
    left_mm: tuple[float, float, float] | None = None
    right_mm: tuple[float, float, float] | None = None
    version: str


def add_labelling(web: FastAPI, dataset: Dataset | None) -> None:
    """Add the routes; without a dataset they respond with 404."""
    files = dataset.files if dataset else {}
    known = [*files]

    def labelled(object_id: str | None = None) -> Dataset:
        if dataset is None:
            raise ApiError(404, "labelling is off; serve with --label")
        if object_id is not None and object_id not in files:
            raise ApiError(404, f"object {object_id!r}: no mesh of the dataset has this name")
        return dataset

    @web.get("/labels", responses=documented(404, 422))
    async def labels(
        offset: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=10_000)] = 1000
    ) -> LabelList:
        """List the dataset's objects, and how much of each is labelled."""
        of = labelled()
        rows = await asyncio.to_thread(read_labels, of.uri, of.landmarks)
        page = [_listed(object_id, rows.get(object_id)) for object_id in known[offset : offset + limit]]
        return LabelList(total=len(known), offset=offset, objects=page)

    @web.get("/labels/{object_id}", responses=documented(404, 422), response_model_exclude_unset=True)
    async def label(object_id: ObjectIdPath) -> LabelResponse:
        """Return an object's label and its version."""
        of = labelled(object_id)
        found = await asyncio.to_thread(read_label, of.uri, of.landmarks, object_id)
        return _response(of, object_id, found)

    saving = documented(400, 404, 408, 409, 413, 422)

    @web.put("/labels/{object_id}", responses=saving, response_model_exclude_unset=True)
    async def save(object_id: ObjectIdPath, request: LabelRequest) -> LabelResponse:
        """Save the label of some landmarks, if the label that they change is still the current one."""
        of = labelled(object_id)
        saved = await asyncio.to_thread(_save, of, object_id, _named_points(of.landmarks, request), request.version)
        return _response(of, object_id, saved)


def _save(dataset: Dataset, object_id: str, points: Mapping[str, Point], version: str) -> Label:
    """Save the points over the label that an object has; another label than that of the version is a conflict."""
    landmarks = dataset.landmarks
    label = read_label(dataset.uri, landmarks, object_id)
    to_source = inverse(dataset.object_from_source_of(dataset.files[object_id].rotation_wxyz))
    xyz, absent = label.points.copy(), label.absent.copy()
    for name, point in points.items():
        index = landmarks.index[name]
        absent[index] = point == "absent"
        xyz[index] = apply(to_source, [point.xyz])[0] if isinstance(point, PlacedPoint) else np.nan
    try:
        return save_label(dataset.uri, landmarks, object_id, xyz, absent, version)
    except ConflictError as error:
        raise ApiError(409, str(error)) from None


def _named_points(landmarks: LandmarkSet, request: LabelRequest) -> dict[str, Point]:
    """Return the points of a request by name.

    Raises:
        ApiError: if a name is not in the set, or the sides are given and the set is not one pair.
    """
    points = dict(request.points)
    sides = (request.left_mm, request.right_mm)
    if any(xyz is not None for xyz in sides):
        if not landmarks.is_single_pair:
            raise ApiError(422, "left_mm, right_mm: the set has more than one pair; expected points by name")
        given = zip(landmarks.names, sides, strict=True)
        points |= {name: PlacedPoint(xyz=xyz) for name, xyz in given if xyz is not None}
    if unknown := next((name for name in points if name not in landmarks.index), None):
        raise ApiError(422, f"points.{unknown[:64]}: no landmark of the set has this name")
    if not points:
        raise ApiError(422, "points: empty; expected at least one landmark")
    return points


def _listed(object_id: str, label: Label | None) -> LabelledObject:
    if label is None:
        return LabelledObject(object_id=object_id, labelled=False, num_labelled=0)
    is_known = np.isfinite(label.points).all(axis=1) | label.absent
    return LabelledObject(object_id=object_id, labelled=label.is_complete, num_labelled=int(is_known.sum()))


def _response(dataset: Dataset, object_id: str, label: Label) -> LabelResponse:
    to_object = dataset.object_from_source_of(dataset.files[object_id].rotation_wxyz)
    landmarks_mm = [xyz if np.isfinite(xyz).all() else None for xyz in apply(to_object, label.points)]
    points: dict[str, Point] = {
        name: "absent" if absent else None if xyz is None else PlacedPoint(xyz=tuple(xyz))
        for name, xyz, absent in zip(dataset.landmarks.names, landmarks_mm, label.absent, strict=True)
    }
    sides = dict(zip(("left_mm", "right_mm"), landmarks_mm, strict=True)) if dataset.landmarks.is_single_pair else {}
    return LabelResponse(object_id=object_id, points=points, version=label.version, **sides)
