"""A user's dataset: `dataset.json`, `meshes/`, `landmarks.csv` and `objects.csv`, read and checked as one table.

Reading lists the mesh folder once and opens no mesh.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from featurelib.datasets.alignment_table import Quaternion, read_rotations
from featurelib.datasets.dataset_json import read_settings
from featurelib.datasets.faults import Fault, report
from featurelib.datasets.landmark_columns import Landmarks
from featurelib.datasets.landmark_table import read_landmarks
from featurelib.datasets.object_names import name_fault, shown
from featurelib.datasets.objects_table import Extra, combined, groups_and_splits, read_objects
from featurelib.datasets.schemas import QUATERNION, objects_schema
from featurelib.errors import DataError
from featurelib.geometry import Alignment, LandmarkSet
from featurelib.meshes import MESH_SUFFIXES, Mesh, read_mesh
from featurelib.meshes.file_names import split_mesh_name
from featurelib.runtime import storage


@dataclass(frozen=True, eq=False)
class Dataset:
    """The settings of a dataset folder and the table of its objects.

    uri: the folder, absolute.
    unit, landmarks, alignment: from `dataset.json`.
    objects: a table of schemas.objects_schema, sorted by object_id.
    free_groups: the groups whose splits depend on the other groups, and that a run records; None if none does.
    has_fixed_splits: whether the user fixed the split of some objects.
    """

    uri: str
    unit: str
    landmarks: LandmarkSet
    alignment: Alignment
    objects: pa.Table
    free_groups: frozenset[str] | None = None
    has_fixed_splits: bool = False

    @property
    def object_from_source(self) -> NDArray[np.float64]:
        """(4, 4) from the mesh files' frame and unit to the object frame in mm."""
        return self.alignment.object_from_source(self.unit)

    def object_from_source_of(self, rotation_wxyz: Quaternion | None) -> NDArray[np.float64]:
        """(4, 4) from the mesh file of an object with this `rotation_wxyz` to the object frame in mm."""
        return self.alignment.with_rotation(rotation_wxyz).object_from_source(self.unit)

    @property
    def files(self) -> dict[str, "MeshFile"]:
        """The existing mesh files by object."""
        columns = (self.objects[name].to_pylist() for name in ("object_id", "mesh", "rotation_wxyz"))
        return {i: MeshFile(mesh, wxyz and tuple(wxyz)) for i, mesh, wxyz in zip(*columns, strict=True) if mesh}

    def mesh_uri(self, mesh: str) -> str:
        """Return the URI of a file of the `mesh` column."""
        return storage.join(self.uri, "meshes", mesh)

    def load(self, file: "MeshFile") -> Mesh:
        """Return the mesh of one of `files` in the object frame.

        Raises:
            DataError: if it is missing or bad.
        """
        return read_mesh(self.mesh_uri(file.name), self.object_from_source_of(file.rotation_wxyz))


class Objects(NamedTuple):
    """The table of a dataset's objects, and what is known of their splits, as in `Dataset`."""

    table: pa.Table
    free_groups: frozenset[str] | None
    has_fixed_splits: bool


class MeshFile(NamedTuple):
    """A mesh file of a dataset, and its object's own rotation, applied after the dataset's alignment."""

    name: str
    rotation_wxyz: Quaternion | None = None


def open_dataset(
    uri: str,
    *,
    labelled: bool = True,
    splits: Mapping[str, str] | None = MappingProxyType({}),
    faults: list[Fault] | None = None,
) -> Dataset:
    """Read a dataset.

    Args:
        uri: local folder or s3:// URI.
        labelled: take the objects of `landmarks.csv`, which must exist; otherwise take all meshes.
        splits: of groups that stay in them, as a run has recorded; None leaves all groups to `splits.split_of`.
        faults: receives the faults of single rows and files, which are then left out; without it the first is an
            error.

    Raises:
        DataError: naming the file, the value and what was expected.
    """
    uri = storage.absolute(uri)
    settings = read_settings(storage.join(uri, "dataset.json"))
    listing = storage.list_files(storage.join(uri, "meshes"))
    content = storage.read_bytes(storage.join(uri, "landmarks.csv")) if labelled else None
    own, extras = storage.join(uri, "alignment.csv"), storage.join(uri, "objects.csv")
    found = objects_table(
        listing,
        content,
        settings.landmarks,
        splits=splits if labelled else None,
        rotations=read_rotations(storage.read_bytes(own), own) if storage.exists(own) else {},
        extras=read_objects(storage.read_bytes(extras), extras, faults) if storage.exists(extras) else {},
        name=uri,
        faults=faults,
    )
    return Dataset(uri, *settings, *found)


def objects_table(
    listing: Iterable[storage.Entry],
    landmarks_csv: bytes | None,
    landmarks: LandmarkSet,
    *,
    splits: Mapping[str, str] | None = None,
    rotations: Mapping[str, Quaternion] | None = None,
    extras: Mapping[str, Extra] | None = None,
    name: str = "dataset",
    faults: list[Fault] | None = None,
) -> Objects:
    """Return the objects of a mesh folder's listing and its labels.

    The table is built by columns, and each list becomes an Arrow array before the next list is built: a million
    objects with one pair take about 10 s and at most 0.6 GB (`featurelib bench plan`).

    Args:
        listing: the files of `meshes/`.
        landmarks_csv: the content of the file; None takes all meshes, without labels.
        landmarks: the dataset's set.
        splits: as in `open_dataset`.
        rotations: of `alignment.csv`, by object.
        extras: of `objects.csv`, by object.
        name: of the dataset, for error messages.
        faults: as in `open_dataset`.
    """
    found = _unsorted(listing, landmarks_csv, landmarks, splits, rotations or {}, extras or {}, name, faults)
    return found._replace(table=found.table.sort_by("object_id"))  # the lists it was built from are freed by then


def _unsorted(
    listing: Iterable[storage.Entry],
    landmarks_csv: bytes | None,
    landmarks: LandmarkSet,
    known: Mapping[str, str] | None,
    rotations: Mapping[str, Quaternion],
    extras: Mapping[str, Extra],
    name: str,
    faults: list[Fault] | None,
) -> Objects:
    meshes = _mesh_files(listing, f"{name}/meshes", faults)
    if landmarks_csv is None:
        rows = Landmarks.without_labels(meshes, len(landmarks.names))
    else:
        rows = read_landmarks(landmarks_csv, f"{name}/landmarks.csv", landmarks, faults)
    _refuse_unknown(extras, meshes, rows.places, f"{name}/objects.csv", faults)
    files = [meshes.get(object_id) for object_id in rows.object_ids]
    both, tables = combined(rows.extras, extras, faults), "objects.csv" if extras else "landmarks.csv"
    groups, splits, free_groups, has_fixed = groups_and_splits(rows.object_ids, both, known, tables, faults)
    table = pa.table(
        {
            "object_id": rows.object_ids,
            "mesh": pa.array([file and file.partition("/")[0] for file in files], pa.string()),
            "mesh_tag": pa.array([file and file.partition("/")[2] for file in files], pa.string()),
            "rotation_wxyz": [rotations.get(i) for i in rows.object_ids]
            if rotations
            else pa.nulls(len(rows.object_ids), QUATERNION),
            "group": groups,
            "split": splits,
            "landmarks": rows.points_column(),
            "absent": rows.absent_column(),
        },
        schema=objects_schema(len(landmarks.names)),
    )
    return Objects(table, free_groups, has_fixed)


def _refuse_unknown(
    extras: Mapping[str, Extra],
    meshes: Mapping[str, str],
    labelled: Mapping[str, int],
    name: str,
    faults: list[Fault] | None,
) -> None:
    """Report the objects of objects.csv that have neither a mesh nor labels: a misspelt id would leave its group."""
    for object_id in extras:
        if object_id not in meshes and object_id not in labelled:
            fault = f"object {object_id!r} has neither a mesh nor labels; correct its id or remove the row"
            report(faults, object_id, f"{name}: {fault}")


def _mesh_files(listing: Iterable[storage.Entry], name: str, faults: list[Fault] | None) -> dict[str, str]:
    """Return `file/tag` of the mesh files by object id; one string per file, since there may be millions."""
    meshes: dict[str, str] = {}
    for entry in listing:
        object_id, suffix = split_mesh_name(entry.name)
        if suffix not in MESH_SUFFIXES:
            continue
        if fault := name_fault(object_id):
            report(faults, None, f"{name}: {shown(entry.name)}: {fault}")
            continue
        if object_id in meshes:
            other = meshes[object_id].partition("/")[0]
            report(faults, object_id, f"{name}: {entry.name} and {other} are both object {object_id}; keep one")
            continue
        meshes[object_id] = f"{entry.name}/{entry.size}:{entry.tag}"
    if not meshes:
        raise DataError(f"{name}: no mesh files; expected <object_id>{'|'.join(MESH_SUFFIXES)}")
    return meshes
