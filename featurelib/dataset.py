"""A user's dataset: `dataset.json`, `meshes/` and `landmarks.csv`, read and checked as one table.

Reading lists the mesh folder once; no mesh is opened.
"""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from featurelib import storage
from featurelib.errors import DataError
from featurelib.geometry import MM_PER_UNIT, Alignment
from featurelib.meshes import MESH_SUFFIXES, Mesh, load_mesh
from featurelib.records import OBJECTS
from featurelib.splits import SPLITS, split_of

COORDINATES = ("left_x", "left_y", "left_z", "right_x", "right_y", "right_z")


@dataclass(frozen=True, eq=False)
class Dataset:
    """What a dataset folder says.

    uri: the folder, absolute.
    unit, landmark, alignment: from `dataset.json`.
    objects: a table of records.OBJECTS, sorted by object_id.
    """

    uri: str
    unit: str
    landmark: str
    alignment: Alignment
    objects: pa.Table

    @property
    def object_from_source(self) -> NDArray[np.float64]:
        """(4, 4) from the mesh files' frame and unit to the object frame in mm."""
        return self.alignment.object_from_source(self.unit)

    def mesh_uri(self, mesh: str) -> str:
        """Return the URI of a file of the `mesh` column."""
        return storage.join(self.uri, "meshes", mesh)

    def load(self, mesh: str) -> Mesh:
        """Return the mesh of a file of the `mesh` column in the object frame.

        Raises:
            DataError: if it is missing or bad.
        """
        uri = self.mesh_uri(mesh)
        return load_mesh(
            storage.read_bytes(uri), mesh.rpartition(".")[2], self.object_from_source, name=f"meshes/{mesh}"
        )


def open_dataset(uri: str, *, labelled: bool = True) -> Dataset:
    """Read a dataset.

    Args:
        uri: local folder or s3:// URI.
        labelled: take the objects of `landmarks.csv`, which must be there; else take all meshes.

    Raises:
        DataError: naming the file, the value and what was expected.
    """
    uri = storage.absolute(uri)
    unit, landmark, alignment = _read_settings(storage.join(uri, "dataset.json"))
    meshes = _list_meshes(storage.join(uri, "meshes"))
    rows = _read_landmarks(storage.join(uri, "landmarks.csv")) if labelled else [{"object_id": name} for name in meshes]
    objects = [_object(row, meshes) for row in sorted(rows, key=lambda row: row["object_id"])]
    return Dataset(
        uri=uri,
        unit=unit,
        landmark=landmark,
        alignment=alignment,
        objects=pa.Table.from_pylist(_with_splits(objects), schema=OBJECTS),
    )


def with_content_tags(dataset: Dataset) -> Dataset:
    """Return the dataset with `mesh_tag` a function of each mesh's content: SHA-256 of local files, ETag on S3."""
    if storage.is_s3(dataset.uri):
        return dataset

    def tag(mesh: str | None) -> str | None:
        return mesh and f"sha256:{sha256(storage.read_bytes(dataset.mesh_uri(mesh))).hexdigest()}"

    with ThreadPoolExecutor(4) as pool:  # hashing lets go of the GIL; disks like a few readers
        tags = list(pool.map(tag, dataset.objects["mesh"].to_pylist()))
    column = dataset.objects.schema.get_field_index("mesh_tag")
    objects = dataset.objects.set_column(column, OBJECTS.field("mesh_tag"), pa.array(tags, pa.string()))
    return Dataset(dataset.uri, dataset.unit, dataset.landmark, dataset.alignment, objects)


def _read_settings(uri: str) -> tuple[str, str, Alignment]:
    """Return unit, landmark and alignment."""
    content = storage.read_bytes(uri)
    try:
        settings = json.loads(content)
    except ValueError as error:
        raise DataError(f"{uri}: not JSON ({error})") from None
    if not isinstance(settings, dict):
        raise DataError(f'{uri}: {settings!r}; expected an object, as in {{"unit": "mm", "landmark": "tragus"}}')
    unit, landmark, alignment = (settings.get(name) for name in ("unit", "landmark", "alignment"))
    if unit not in tuple(MM_PER_UNIT):
        raise DataError(f"{uri}: unit {unit!r}; expected one of {', '.join(MM_PER_UNIT)}")
    if not (landmark and isinstance(landmark, str)):
        raise DataError(f'{uri}: landmark {landmark!r}; expected its name, as in "landmark": "tragus"')
    if not isinstance(alignment, dict | None):
        raise DataError(
            f'{uri}: alignment {alignment!r}; expected {{"rotations_wxyz": [[w, x, y, z], ...], "scale": s}}'
        )
    return unit, landmark, Alignment.from_dict(alignment or {}, name=f"{uri}: alignment")


def _list_meshes(uri: str) -> dict[str, storage.Entry]:
    """Return the mesh files by object id."""
    meshes: dict[str, storage.Entry] = {}
    for entry in storage.list_files(uri):
        object_id, dot, suffix = entry.name.rpartition(".")
        if dot + suffix.lower() not in MESH_SUFFIXES:
            continue
        if object_id in meshes:
            raise DataError(f"{uri}: {entry.name} and {meshes[object_id].name} are both object {object_id}; keep one")
        meshes[object_id] = entry
    if not meshes:
        raise DataError(f"{uri}: no mesh files; expected <object_id>{'|'.join(MESH_SUFFIXES)}")
    return meshes


def _read_landmarks(uri: str) -> list[dict[str, Any]]:
    try:
        text = storage.read_bytes(uri).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{uri}: byte {error.start} is not UTF-8; save the table as UTF-8") from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = {"object_id", *COORDINATES} - set(reader.fieldnames or ())
    if missing:
        raise DataError(f"{uri}: no column {', '.join(sorted(missing))}; expected object_id,{','.join(COORDINATES)}")
    rows: dict[str, dict[str, Any]] = {}
    for row in reader:
        where = f"{uri} line {reader.line_num}"
        if row["object_id"] in rows:
            raise DataError(f"{where}: object {row['object_id']!r} stands there twice; keep one row")
        if None in row:
            raise DataError(f"{where}: more values than the header's {len(reader.fieldnames or ())} columns")
        rows[row["object_id"]] = _landmark_row(row, where)
    if not rows:
        raise DataError(f"{uri}: no rows; expected one for each labelled object")
    return list(rows.values())


def _landmark_row(row: Mapping[str, str | None], where: str) -> dict[str, Any]:
    values: list[float] = []
    for column in COORDINATES:
        try:
            values.append(float(row[column] or ""))
        except ValueError:
            raise DataError(f"{where}: {column} is {row[column]!r}; expected a number") from None
        if not math.isfinite(values[-1]):
            raise DataError(f"{where}: {column} is {row[column]}; expected a finite number")
    split = row.get("split") or None
    if split not in (None, *SPLITS):
        raise DataError(f"{where}: split {split!r}; expected {', '.join(SPLITS)} or nothing")
    object_id = row["object_id"] or ""
    if not object_id:
        raise DataError(f"{where}: object_id is empty; expected the mesh file's name without its ending")
    group = row.get("group") or object_id
    return {"object_id": object_id, "left": values[:3], "right": values[3:], "group": group, "split": split}


def _object(row: dict[str, Any], meshes: Mapping[str, storage.Entry]) -> dict[str, Any]:
    entry = meshes.get(row["object_id"])
    return {
        "group": row["object_id"],
        **row,
        "mesh": entry and entry.name,
        "mesh_tag": entry and f"{entry.size}:{entry.tag}",
    }


def _with_splits(objects: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give every object of a group one split: the one the user fixed, else a stable function of the group."""
    fixed: dict[str, str] = {}
    for row in objects:
        split = row.get("split")
        if split and fixed.setdefault(row["group"], split) != split:
            raise DataError(
                f"landmarks.csv: group {row['group']!r} is in {fixed[row['group']]} and {split} "
                f"(object {row['object_id']!r}); a group has one split"
            )
    return [{**row, "split": fixed.get(row["group"]) or split_of(row["group"])} for row in objects]
