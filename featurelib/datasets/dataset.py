"""A user's dataset: `dataset.json`, `meshes/` and `landmarks.csv`, read and checked as one table.

Reading lists the mesh folder once; no mesh is opened.
"""

import csv
import io
import json
import math
from array import array
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from featurelib.datasets.schemas import OBJECTS, POINT, TURN
from featurelib.datasets.splits import SPLITS, split_of
from featurelib.errors import DataError
from featurelib.geometry import MM_PER_UNIT, Alignment
from featurelib.meshes import MESH_SUFFIXES, Mesh, read_mesh
from featurelib.runtime import storage

Quaternion = tuple[float, float, float, float]
"""In the order w, x, y, z."""

COORDINATES = ("left_x", "left_y", "left_z", "right_x", "right_y", "right_z")


MIN_LENGTH = 1e-12
"""Squared length of a quaternion below which it stands for no rotation."""


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

    def object_from_source_of(self, turn: Quaternion | None) -> NDArray[np.float64]:
        """(4, 4) from the mesh file of an object with this `turn` to the object frame in mm."""
        return self.alignment.turned(turn).object_from_source(self.unit)

    @property
    def files(self) -> dict[str, "MeshFile"]:
        """The mesh files that are there, by object."""
        columns = (self.objects[name].to_pylist() for name in ("object_id", "mesh", "turn"))
        return {i: MeshFile(mesh, turn and tuple(turn)) for i, mesh, turn in zip(*columns, strict=True) if mesh}

    def mesh_uri(self, mesh: str) -> str:
        """Return the URI of a file of the `mesh` column."""
        return storage.join(self.uri, "meshes", mesh)

    def load(self, file: "MeshFile") -> Mesh:
        """Return the mesh of one of `files` in the object frame.

        Raises:
            DataError: if it is missing or bad.
        """
        return read_mesh(self.mesh_uri(file.name), self.object_from_source_of(file.turn))


class MeshFile(NamedTuple):
    """A mesh file of a dataset, and how its object is turned besides the dataset's alignment."""

    name: str
    turn: Quaternion | None = None


class Fault(NamedTuple):
    """What is wrong with one row or one mesh file: the object, if it is known, and a line that ends with the fix."""

    object_id: str | None
    says: str


def open_dataset(uri: str, *, labelled: bool = True, faults: list[Fault] | None = None) -> Dataset:
    """Read a dataset.

    Args:
        uri: local folder or s3:// URI.
        labelled: take the objects of `landmarks.csv`, which must be there; else take all meshes.
        faults: receives what is wrong with single rows and files, which are then left out; if not given, the first
            is an error.

    Raises:
        DataError: naming the file, the value and what was expected.
    """
    uri = storage.absolute(uri)
    unit, landmark, alignment = _read_settings(storage.join(uri, "dataset.json"))
    listing = storage.list_files(storage.join(uri, "meshes"))
    labels, turned = storage.join(uri, "landmarks.csv"), storage.join(uri, "alignment.csv")
    turns = read_turns(storage.read_bytes(turned), turned) if storage.exists(turned) else {}
    labelled_as = storage.read_bytes(labels) if labelled else None
    objects = objects_table(listing, labelled_as, turns=turns, name=uri, faults=faults)
    return Dataset(uri, unit, landmark, alignment, objects)


def objects_table(
    listing: Iterable[storage.Entry],
    landmarks_csv: bytes | None,
    *,
    turns: Mapping[str, Quaternion] | None = None,
    name: str = "dataset",
    faults: list[Fault] | None = None,
) -> pa.Table:
    """Return the table of records.OBJECTS, sorted by object_id, of a mesh folder's listing and its labels.

    It is made column by column, and each list becomes an Arrow array before the next is made: a million objects
    take about 10 s and 0.6 GB at the worst (`featurelib bench plan`).

    Args:
        listing: the files of `meshes/`.
        landmarks_csv: the labels' content; None takes all meshes, without labels.
        turns: of `alignment.csv`, by object.
        name: of the dataset, for errors.
        faults: as in `open_dataset`.
    """
    table = _unsorted_table(listing, landmarks_csv, turns or {}, name, faults)
    return table.sort_by("object_id")  # what it was made of is freed by then


def _unsorted_table(
    listing: Iterable[storage.Entry],
    landmarks_csv: bytes | None,
    turns: Mapping[str, Quaternion],
    name: str,
    faults: list[Fault] | None,
) -> pa.Table:
    meshes = _mesh_files(listing, f"{name}/meshes", faults)
    labels = f"{name}/landmarks.csv"
    rows = _Landmarks.of(meshes) if landmarks_csv is None else _read_landmarks(landmarks_csv, labels, faults)
    files = [meshes.get(object_id) for object_id in rows.object_ids]
    return pa.table(
        {
            "object_id": rows.object_ids,
            "mesh": pa.array([file and file.partition("/")[0] for file in files], pa.string()),
            "mesh_tag": pa.array([file and file.partition("/")[2] for file in files], pa.string()),
            "turn": [turns.get(i) for i in rows.object_ids] if turns else pa.nulls(len(rows.object_ids), TURN),
            "group": rows.groups,
            "split": rows.splits_by_group(faults),
            "left": rows.points(0),
            "right": rows.points(3),
        },
        schema=OBJECTS,
    )


def with_content_tags(dataset: Dataset, known: pa.Table | None = None) -> Dataset:
    """Return the dataset with `mesh_tag` a function of each mesh's content: SHA-256 of local files, ETag on S3.

    Args:
        dataset: as opened, with tags of the listing (size and time of change).
        known: of records.INPUTS, what earlier runs found; files that have not changed since are not read.
    """
    if storage.is_s3(dataset.uri):
        return dataset
    listed, meshes = dataset.objects["mesh_tag"], dataset.objects["mesh"]
    found = pc.index_in(listed, known["mesh_tag"]) if known else pa.nulls(len(listed), pa.int32())
    tags = pc.take(known["content_tag"], found).to_pylist() if known else [None] * len(listed)

    def tag(i: int) -> str:
        return f"sha256:{sha256(storage.read_bytes(dataset.mesh_uri(meshes[i].as_py()))).hexdigest()}"

    new = [i for i, content_tag in enumerate(tags) if content_tag is None and meshes[i].is_valid]
    with ThreadPoolExecutor(4) as pool:  # hashing lets go of the GIL; disks like a few readers
        for i, content_tag in zip(new, pool.map(tag, new), strict=True):
            tags[i] = content_tag
    column = dataset.objects.schema.get_field_index("mesh_tag")
    objects = dataset.objects.set_column(column, OBJECTS.field("mesh_tag"), pa.array(tags, pa.string()))
    return replace(dataset, objects=objects)


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


def read_turns(content: bytes, name: str) -> dict[str, Quaternion]:
    """Return the turns of `alignment.csv` by object; those of objects that are not there are of no account.

    Raises:
        DataError: naming line and value, if a row is no object and a quaternion.
    """
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig", errors="replace"), newline=""), restval="")
    missing = {"object_id", *"wxyz"} - {*(reader.fieldnames or ())}
    if missing:
        raise DataError(f"{name}: no column {', '.join(sorted(missing))}; expected object_id,w,x,y,z")
    turns: dict[str, Quaternion] = {}
    for row in reader:
        where = f"{name} line {reader.line_num}"
        w, x, y, z = (_number(row[axis], axis, where) for axis in "wxyz")
        if row["object_id"] in turns:
            raise DataError(f"{where}: object {row['object_id']!r} stands there twice; keep one row")
        if w * w + x * x + y * y + z * z < MIN_LENGTH:
            raise DataError(f"{where}: {w:g}, {x:g}, {y:g}, {z:g} is no rotation; the identity is 1, 0, 0, 0")
        turns[row["object_id"]] = (w, x, y, z)
    return turns


def write_turns(turns: Mapping[str, Quaternion]) -> bytes:
    """Return the `alignment.csv` that `read_turns` reads to the same numbers."""
    rows = [",".join([object_id, *map(repr, wxyz)]) for object_id, wxyz in sorted(turns.items())]
    return "".join(f"{row}\n" for row in ("object_id,w,x,y,z", *rows)).encode()


def _report(faults: list[Fault] | None, object_id: str | None, says: str) -> None:
    """Add a fault to the list, or raise it if nobody collects them."""
    if faults is None:
        raise DataError(says)
    faults.append(Fault(object_id, says))


def _mesh_files(listing: Iterable[storage.Entry], name: str, faults: list[Fault] | None) -> dict[str, str]:
    """Return `file/tag` of the mesh files by object id; one string each, since there may be millions."""
    meshes: dict[str, str] = {}
    for entry in listing:
        object_id, dot, suffix = entry.name.rpartition(".")
        if dot + suffix.lower() not in MESH_SUFFIXES:
            continue
        if object_id in meshes:
            other = meshes[object_id].partition("/")[0]
            _report(faults, object_id, f"{name}: {entry.name} and {other} are both object {object_id}; keep one")
            continue
        meshes[object_id] = f"{entry.name}/{entry.size}:{entry.tag}"
    if not meshes:
        raise DataError(f"{name}: no mesh files; expected <object_id>{'|'.join(MESH_SUFFIXES)}")
    return meshes


@dataclass(frozen=True)
class _Landmarks:
    """The columns of `landmarks.csv`; `values` holds six numbers an object, or none at all."""

    object_ids: list[str]
    groups: list[str]
    splits: list[str | None]
    values: array

    @classmethod
    def of(cls, object_ids: Iterable[str]) -> Self:
        """Return objects without labels."""
        ids = list(object_ids)
        return cls(ids, ids, [None] * len(ids), array("d"))

    def points(self, start: int) -> pa.Array:
        """Return three of every six values as points; nulls if there are none."""
        if not self.values:
            return pa.nulls(len(self.object_ids), POINT)
        numbers = np.frombuffer(self.values, dtype=np.float64).reshape(-1, 6)[:, start : start + 3]
        return pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), 3)

    def splits_by_group(self, faults: list[Fault] | None) -> list[str]:
        """Return one split for every object of a group: the one the user fixed, else a function of the group."""
        fixed: dict[str, str] = {}
        for object_id, group, split in zip(self.object_ids, self.groups, self.splits, strict=True):
            if split and fixed.setdefault(group, split) != split:
                says = f"group {group!r} is in {fixed[group]} and {split} (object {object_id!r}); a group has one split"
                _report(faults, object_id, f"landmarks.csv: {says}")
        return [fixed.get(group) or split_of(group) for group in self.groups]


def _read_landmarks(content: bytes, name: str, faults: list[Fault] | None) -> _Landmarks:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: byte {error.start} is not UTF-8; save the table as UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    header = next(reader, [])
    missing = {"object_id", *COORDINATES} - set(header)
    if missing:
        raise DataError(f"{name}: no column {', '.join(sorted(missing))}; expected object_id,{','.join(COORDINATES)}")
    columns = [header.index(column) for column in ("object_id", *COORDINATES)]
    group, split = (header.index(column) if column in header else None for column in ("group", "split"))
    landmarks, seen = _Landmarks([], [], [], array("d")), set()
    for row in filter(None, reader):
        where = f"{name} line {reader.line_num}"
        row += [""] * (len(header) - len(row))
        object_id, *values = (row[i] for i in columns)
        try:
            if len(row) > len(header):
                raise DataError(f"{where}: more values than the header's {len(header)} columns")
            if object_id in seen:
                raise DataError(f"{where}: object {object_id!r} stands there twice; keep one row")
            if not object_id:
                raise DataError(f"{where}: object_id is empty; expected the mesh file's name without its ending")
            seen.add(object_id)
            numbers = [_number(v, column, where) for v, column in zip(values, COORDINATES, strict=True)]
            fixed = _split(row[split], where) if split is not None else None
        except DataError as error:
            _report(faults, object_id or None, str(error))
            continue
        landmarks.object_ids.append(object_id)
        landmarks.values.extend(numbers)
        landmarks.groups.append((group is not None and row[group]) or object_id)
        landmarks.splits.append(fixed)
    if not landmarks.object_ids and not faults:
        raise DataError(f"{name}: no rows; expected one for each labelled object")
    return landmarks


def _number(text: str, column: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise DataError(f"{where}: {column} is {text!r}; expected a number") from None
    if not math.isfinite(value):
        raise DataError(f"{where}: {column} is {text}; expected a finite number")
    return value


def _split(text: str, where: str) -> str | None:
    if text not in ("", *SPLITS):
        raise DataError(f"{where}: split {text!r}; expected {', '.join(SPLITS)} or nothing")
    return text or None
