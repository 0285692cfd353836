"""The routes for labels: HTTP has millimetres in the object frame, `landmarks.csv` the source frame and unit."""

import asyncio
from typing import Annotated

import numpy as np
from fastapi import FastAPI, Path, Query
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from featurelib.datasets.annotations import Label, read_label, read_labels, save_label
from featurelib.datasets.dataset import Dataset
from featurelib.errors import ConflictError
from featurelib.geometry import apply, inverse
from serve.api.errors import ApiError, documented
from serve.api.schemas import Strict

ObjectIdPath = Annotated[str, Path(max_length=256)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Xyz = Annotated[tuple[Finite, Finite, Finite], Field(description="millimetres, object frame")]


class LabelledObject(BaseModel):
    """Whether an object of the dataset has a label."""

    object_id: str
    labelled: bool


class LabelList(BaseModel):
    """A page of the dataset's objects, sorted."""

    total: int
    offset: int
    objects: list[LabelledObject]


class LabelRequest(Strict):
    """Both landmarks, and the version of the label that they replace."""

    left_mm: Xyz
    right_mm: Xyz
    version: Annotated[str, Field(max_length=64)]


class LabelResponse(BaseModel):
    """An object's label in the object frame; both points are null without one. `version` changes with the label."""

    object_id: str
    left_mm: tuple[float, float, float] | None
    right_mm: tuple[float, float, float] | None
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
        """List the dataset's objects, and which have a label."""
        rows = await asyncio.to_thread(read_labels, labelled().uri)
        has_pair = {object_id for object_id, label in rows.items() if label.pair is not None}
        page = [LabelledObject(object_id=i, labelled=i in has_pair) for i in known[offset : offset + limit]]
        return LabelList(total=len(known), offset=offset, objects=page)

    @web.get("/labels/{object_id}", responses=documented(404, 422))
    async def label(object_id: ObjectIdPath) -> LabelResponse:
        """Return an object's label and its version."""
        of = labelled(object_id)
        found = await asyncio.to_thread(read_label, of.uri, object_id)
        return _response(object_id, found, of.object_from_source_of(files[object_id].rotation_wxyz))

    @web.put("/labels/{object_id}", responses=documented(400, 404, 408, 409, 413, 422))
    async def save(object_id: ObjectIdPath, request: LabelRequest) -> LabelResponse:
        """Save an object's label, if the label that it replaces is still the current one."""
        of = labelled(object_id)
        to_object = of.object_from_source_of(files[object_id].rotation_wxyz)
        pair = apply(inverse(to_object), np.array([request.left_mm, request.right_mm]))
        try:
            saved = await asyncio.to_thread(save_label, of.uri, object_id, pair, request.version)
        except ConflictError as error:
            raise ApiError(409, str(error)) from None
        return _response(object_id, saved, to_object)


def _response(object_id: str, label: Label, to_object: NDArray[np.float64]) -> LabelResponse:
    landmarks_mm = [None, None] if label.pair is None else apply(to_object, label.pair).tolist()
    return LabelResponse(object_id=object_id, left_mm=landmarks_mm[0], right_mm=landmarks_mm[1], version=label.version)
