"""The routes by which labels are made: in the object frame's mm outside, as `landmarks.csv` has them inside."""

import asyncio
from typing import Annotated

import numpy as np
from fastapi import FastAPI, Path, Query
from numpy.typing import NDArray

from featurelib.datasets.annotations import Label, read_label, read_labels, save_label
from featurelib.datasets.dataset import Dataset
from featurelib.errors import ConflictError
from featurelib.geometry import apply, inverse
from serve.api.errors import ApiError, documented
from serve.api.schemas import LabelAnswer, LabelledObject, LabelList, LabelRequest

ObjectIdPath = Annotated[str, Path(max_length=256)]


def add_labelling(web: FastAPI, dataset: Dataset | None) -> None:
    """Add the routes; without a dataset that may be labelled they answer that there is none."""
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
    async def label(object_id: ObjectIdPath) -> LabelAnswer:
        """Tell an object's label and its version."""
        of = labelled(object_id)
        found = await asyncio.to_thread(read_label, of.uri, object_id)
        return _answer(object_id, found, of.object_from_source_of(files[object_id].rotation_wxyz))

    @web.put("/labels/{object_id}", responses=documented(400, 404, 408, 409, 413, 422))
    async def save(object_id: ObjectIdPath, asked: LabelRequest) -> LabelAnswer:
        """Save an object's label, if the one that it replaces is still there."""
        of = labelled(object_id)
        to_object = of.object_from_source_of(files[object_id].rotation_wxyz)
        pair = apply(inverse(to_object), np.array([asked.left_mm, asked.right_mm]))
        try:
            saved = await asyncio.to_thread(save_label, of.uri, object_id, pair, asked.version)
        except ConflictError as error:
            raise ApiError(409, str(error)) from None
        return _answer(object_id, saved, to_object)


def _answer(object_id: str, label: Label, to_object: NDArray[np.float64]) -> LabelAnswer:
    pair_mm = [None, None] if label.pair is None else apply(to_object, label.pair).tolist()
    return LabelAnswer(object_id=object_id, left_mm=pair_mm[0], right_mm=pair_mm[1], version=label.version)
