"""A dataset's labels, or predictions for it -> files that other programs read."""

from dataclasses import dataclass

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.landmark_files.formats import Format, Pairs, write_points
from featurelib.datasets.landmark_files.landmarks import Space
from featurelib.datasets.landmark_files.slicer import mesh_space
from featurelib.errors import DataError
from featurelib.geometry import SIDES
from featurelib.runtime import cli, parquet, storage
from featurelib.runtime.console import print_result


@cli.config
@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """What to write, and how.

    Attributes:
        dataset: Folder or s3:// URI of the dataset.
        out: Folder or s3:// URI that receives the files.
        predictions: Folder that `predict` wrote, whose points are written. Default: the dataset's own labels.
        format: slicer (.mrk.json), fcsv and meshlab (.pp): a file an object; json and csv: one for all.
        space: Axes that Slicer's files are written in; they name them, so both lie on the mesh in Slicer.
        mesh_space: What Slicer takes the axes of meshes for that do not say so themselves.
    """

    dataset: str
    out: str
    predictions: str | None = None
    format: Format = "slicer"
    space: Space = "LPS"
    mesh_space: Space = "LPS"


def export_landmarks(config: ExportConfig) -> None:
    """Write labels or predictions for 3D Slicer, MeshLab or a spreadsheet, on the meshes as they are.

    Example: featurelib export-landmarks --dataset scans --predictions predictions --format slicer --out marks
    """
    dataset = open_dataset(config.dataset, labelled=config.predictions is None)
    pairs = _predicted(config.predictions) if config.predictions else _labels(dataset.objects.to_pylist())
    out = storage.absolute(config.out)
    meshes = dataset.files

    def space_of(object_id: str) -> Space:
        file = meshes.get(object_id)
        said = mesh_space(storage.read_bytes(dataset.mesh_uri(file.name))) if file else None
        return said or config.mesh_space

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
    uri = storage.join(storage.absolute(folder), "predictions.parquet")
    rows = parquet.read_table(uri).to_pylist()
    found = {row["object_id"]: _pair(row) for row in rows if row["left_x"] is not None}
    if not found:
        raise DataError(f"{uri}: none of its {len(rows)} objects has an answer")
    return found  # type: ignore[return-value]


def _pair(row: dict) -> tuple:
    return tuple(tuple(row[f"{side}_{axis}"] for axis in "xyz") for side in SIDES)


if __name__ == "__main__":
    cli.run(cli.single_command(export_landmarks, "export-landmarks"))
