"""The labels of a dataset, or predictions for it -> files of other programs."""

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.landmark_files.formats import Pairs, write_points
from featurelib.datasets.landmark_files.landmarks import Space
from featurelib.datasets.landmark_files.slicer import mesh_space
from featurelib.errors import DataError
from featurelib.geometry import SIDES
from featurelib.models.prediction_parts import read_predictions
from featurelib.runtime import storage
from featurelib.runtime.console import print_result
from jobs.export_landmarks import ExportConfig


def run(config: ExportConfig) -> None:
    """Write the files and print their number."""
    dataset = open_dataset(config.dataset, labelled=config.predictions is None)
    pairs = _predicted(config.predictions) if config.predictions else _labels(dataset.objects.to_pylist())
    out = storage.absolute(config.out)
    meshes = dataset.files

    def space_of(object_id: str) -> Space:
        file = meshes.get(object_id)
        named = mesh_space(storage.read_bytes(dataset.mesh_uri(file.name))) if file else None
        return named or config.mesh_space

    files = write_points(pairs, dataset.landmark, config.format, config.space, space_of)
    for name, content in files.items():
        storage.write_bytes(storage.join(out, name), content)
    print_result(
        f"{out}: {len(pairs)} objects in {len(files)} files ({config.format})",
        {"out": out, "objects": len(pairs), "files": len(files)},
    )


def _labels(rows: list[dict]) -> Pairs:
    return {row["object_id"]: (tuple(row["left"]), tuple(row["right"])) for row in rows}  # type: ignore[misc]


def _predicted(folder: str) -> Pairs:
    uri = storage.absolute(folder)
    rows = read_predictions(uri).to_pylist()
    found = {row["object_id"]: _pair(row) for row in rows if row["left_x"] is not None}
    if not found:
        raise DataError(f"{uri}: none of its {len(rows)} objects has a prediction")
    return found  # type: ignore[return-value]


def _pair(row: dict) -> tuple:
    return tuple(tuple(row[f"{side}_{axis}"] for axis in "xyz") for side in SIDES)
