"""The routes for labels: HTTP has millimetres in the object frame, `landmarks.csv` the source frame and unit."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import numpy as np
from fastapi import FastAPI, Path, Query
from numpy.typing import NDArray

from featurelib.datasets.annotation_history import read_marks
from featurelib.datasets.annotations import Label, read_label, read_labels, save_label, sources_of
from featurelib.datasets.dataset import Dataset
from featurelib.datasets.repeats import RepeatDistance, floor_mm, repeat_distances, save_repeat
from featurelib.errors import ConflictError
from featurelib.geometry import LandmarkSet, apply, inverse
from serve.api.errors import ApiError, documented
from serve.api.label_schemas import (
    LabelledObject,
    LabelList,
    LabelRequest,
    LabelResponse,
    PlacedPoint,
    Point,
    RepeatRequest,
    RepeatSummary,
)

ObjectIdPath = Annotated[str, Path(max_length=256)]


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
        repeats = await asyncio.to_thread(repeat_distances, of)
        page = [_listed(object_id, rows.get(object_id)) for object_id in known[offset : offset + limit]]
        return LabelList(total=len(known), offset=offset, objects=page, repeats=_summary(repeats))

    @web.get("/labels/{object_id}", responses=documented(404, 422), response_model_exclude_unset=True)
    async def label(object_id: ObjectIdPath) -> LabelResponse:
        """Return an object's label and its version."""
        return await asyncio.to_thread(_response, labelled(object_id), object_id)

    saving = documented(400, 404, 408, 409, 413, 422)

    @web.put("/labels/{object_id}", responses=saving, response_model_exclude_unset=True)
    async def save(object_id: ObjectIdPath, request: LabelRequest) -> LabelResponse:
        """Save the label of some landmarks, if the label that they change is still the current one."""
        return await asyncio.to_thread(_save, labelled(object_id), object_id, request)

    @web.post("/labels/{object_id}/repeats", responses=saving, response_model_exclude_unset=True)
    async def repeat(object_id: ObjectIdPath, request: RepeatRequest) -> LabelResponse:
        """Keep second marks of some landmarks; the object's label stays. The same marks are kept once."""
        return await asyncio.to_thread(_repeat, labelled(object_id), object_id, request)


def _save(dataset: Dataset, object_id: str, request: LabelRequest) -> LabelResponse:
    """Save the points over the label that an object has; another label than that of the version is a conflict."""
    points, landmarks = _named_points(dataset.landmarks, request), dataset.landmarks
    label = read_label(dataset.uri, landmarks, object_id)
    xyz, absent = label.points.copy(), label.absent.copy()
    _place(dataset, object_id, xyz, points)
    for name, point in points.items():
        absent[landmarks.index[name]] = point == "absent"
    try:
        saved = save_label(dataset.uri, landmarks, object_id, xyz, absent, request.version, request.sources)
    except ConflictError as error:
        raise ApiError(409, str(error)) from None
    return _response(dataset, object_id, saved)


def _repeat(dataset: Dataset, object_id: str, request: RepeatRequest) -> LabelResponse:
    _refuse_unknown(dataset.landmarks, request.points, "points")
    xyz = np.full((len(dataset.landmarks.names), 3), np.nan)
    _place(dataset, object_id, xyz, request.points)
    try:
        save_repeat(dataset.uri, dataset.landmarks, object_id, xyz)
    except ConflictError as error:
        raise ApiError(409, str(error)) from None
    return _response(dataset, object_id)


def _place(dataset: Dataset, object_id: str, xyz: NDArray[np.float64], points: Mapping[str, Point]) -> None:
    """Write points into positions (k, 3) in the source frame; NaN for those without one."""
    to_source = inverse(dataset.object_from_source_of(dataset.files[object_id].rotation_wxyz))
    for name, point in points.items():
        placed = apply(to_source, [point.xyz])[0] if isinstance(point, PlacedPoint) else np.nan
        xyz[dataset.landmarks.index[name]] = placed


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
    _refuse_unknown(landmarks, points, "points")
    _refuse_unknown(landmarks, request.sources, "sources")
    if not points:
        raise ApiError(422, "points: empty; expected at least one landmark")
    return points


def _refuse_unknown(landmarks: LandmarkSet, names: Iterable[str], field: str) -> None:
    if unknown := next((name for name in names if name not in landmarks.index), None):
        raise ApiError(422, f"{field}.{unknown[:64]}: no landmark of the set has this name")


def _listed(object_id: str, label: Label | None) -> LabelledObject:
    if label is None:
        return LabelledObject(object_id=object_id, labelled=False, num_labelled=0)
    is_known = np.isfinite(label.points).all(axis=1) | label.absent
    return LabelledObject(object_id=object_id, labelled=label.is_complete, num_labelled=int(is_known.sum()))


def _summary(repeats: Sequence[RepeatDistance]) -> RepeatSummary | None:
    if not repeats:
        return None
    distance_mm = float(np.median([one.distance_mm for one in repeats]))
    num_objects = len({one.object_id for one in repeats})
    floor = float(floor_mm(distance_mm))
    return RepeatSummary(n=len(repeats), objects=num_objects, distance_mm=distance_mm, floor_mm=floor)


def _response(dataset: Dataset, object_id: str, label: Label | None = None) -> LabelResponse:
    """Return an object's label with its history; without `label` the current one."""
    landmarks = dataset.landmarks
    label = label or read_label(dataset.uri, landmarks, object_id)
    sources = sources_of(label, landmarks, read_marks(dataset.uri, object_id))
    to_object = dataset.object_from_source_of(dataset.files[object_id].rotation_wxyz)
    landmarks_mm = [xyz if np.isfinite(xyz).all() else None for xyz in apply(to_object, label.points)]
    points: dict[str, Point] = {
        name: "absent" if absent else None if xyz is None else PlacedPoint(xyz=tuple(xyz))
        for name, xyz, absent in zip(landmarks.names, landmarks_mm, label.absent, strict=True)
    }
    distances_mm: dict[str, list[float]] = {}
    for one in repeat_distances(dataset, object_id):
        distances_mm.setdefault(one.landmark, []).append(one.distance_mm)
    return LabelResponse(
        object_id=object_id,
        points=points,
        version=label.version,
        sources=dict(zip(landmarks.names, sources, strict=True)),
        repeats_mm={name: float(np.median(of)) for name, of in distances_mm.items()},
        **(dict(zip(("left_mm", "right_mm"), landmarks_mm, strict=True)) if landmarks.is_single_pair else {}),
    )
