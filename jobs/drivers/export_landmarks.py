"""The labels of a dataset, or predictions for it -> files of other programs."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from featurelib.datasets.coordinates import Xyz
from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.landmark_files.formats import write_points
from featurelib.datasets.landmark_files.landmarks import Space
from featurelib.datasets.landmark_files.slicer import mesh_space
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet
from featurelib.models.prediction_parts import read_predictions
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from jobs.export_landmarks import ExportConfig

Placed = dict[str, dict[str, Xyz]]
"""Positions by object and landmark."""

Absent = dict[str, set[str]]
"""The names of the landmarks that do not exist, by object."""


def run(config: ExportConfig) -> None:
    """Write the files and print their number."""
    dataset = open_dataset(config.dataset, labelled=config.predictions is None)
    names = dataset.landmarks.names
    rows = _predicted(config.predictions, dataset.landmarks) if config.predictions else _labels(dataset.objects, names)
    placed, absent = _gathered(rows)
    out = storage.absolute(config.out)
    meshes = dataset.files

    def space_of(object_id: str) -> Space:
        file = meshes.get(object_id)
        named = mesh_space(storage.read_bytes(dataset.mesh_uri(file.name))) if file else None
        return named or config.mesh_space

    points = {i: [found.get(name) for name in names] for i, found in placed.items()}
    files = write_points(dataset.landmarks, points, config.format, config.space, space_of, absent)
    for name, content in files.items():
        storage.write_bytes(storage.join(out, name), content)
    print_result(
        f"{out}: {len(points)} objects in {len(files)} file{'s' * (len(files) != 1)} ({config.format})",
        {"out": out, "objects": len(points), "files": len(files)},
    )


def _gathered(rows: Iterable[tuple[str, str, Xyz | None, bool]]) -> tuple[Placed, Absent]:
    """Return positions and absent landmarks of rows of object, landmark, position and whether it is absent."""
    placed: Placed = {}
    absent: Absent = {}
    for object_id, name, xyz, is_absent in rows:
        if xyz is not None or is_absent:
            placed.setdefault(object_id, {})
        if is_absent:
            absent.setdefault(object_id, set()).add(name)
        elif xyz is not None:
            placed[object_id][name] = xyz
    return placed, absent


def _labels(objects: Any, names: tuple[str, ...]) -> Iterator[tuple[str, str, Xyz | None, bool]]:
    """Yield the labels in a table of schemas.objects_schema."""
    for row in objects.select(["object_id", "landmarks", "absent"]).to_pylist():
        for k, (name, is_absent) in enumerate(zip(names, row["absent"], strict=True)):
            yield row["object_id"], name, _xyz(row["landmarks"][3 * k : 3 * k + 3]), is_absent


def _predicted(folder: str, landmarks: LandmarkSet) -> Iterator[tuple[str, str, Xyz | None, bool]]:
    """Yield the landmarks in a folder of predictions.

    Raises:
        DataError: if a landmark is not in the dataset's set, or no object has a prediction.
    """
    uri = storage.absolute(folder)
    rows = read_predictions(uri).select(["object_id", "landmark", *"xyz", "present"]).to_pylist()
    if others := {row["landmark"] for row in rows} - set(landmarks.names):
        raise DataError(f"{uri}: landmark {min(others)!r} is not in the dataset's set; export with its own dataset")
    if not any(_is_placed(row) for row in rows):
        raise DataError(f"{uri}: none of its {len({row['object_id'] for row in rows})} objects has a prediction")
    for row in rows:
        xyz = (row["x"], row["y"], row["z"]) if _is_placed(row) else None
        yield row["object_id"], row["landmark"], xyz, row["present"] is False


def _is_placed(row: Mapping[str, Any]) -> bool:
    return row["x"] is not None


def _xyz(values: list[float]) -> Xyz | None:
    x, y, z = values
    return (x, y, z) if x == x else None
