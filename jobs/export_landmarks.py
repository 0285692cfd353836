"""The labels of a dataset, or predictions for it -> files of other programs."""

from dataclasses import dataclass

from featurelib.datasets.landmark_files.landmarks import Format, Space
from featurelib.runtime import cli


@cli.config
@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """What to export.

    Attributes:
        dataset: Folder or s3:// URI of the dataset.
        out: Folder or s3:// URI that receives the files.
        predictions: Folder that `predict` wrote. Default: export the labels of the dataset.
        format: slicer (.mrk.json), fcsv and meshlab (.pp): one file per object. json, csv (as landmarks.csv), wide (a
            row per object), tps, nts and morphologika: one file for all.
        space: Axes of Slicer's files; the files name them, so Slicer shows both alike.
        mesh_space: Axes that Slicer assumes for mesh files that do not name theirs.
    """

    dataset: str
    out: str
    predictions: str | None = None
    format: Format = "slicer"
    space: Space = "LPS"
    mesh_space: Space = "LPS"


def export_landmarks(config: ExportConfig) -> None:
    """Export labels or predictions for 3D Slicer, MeshLab, geomorph or a spreadsheet, in the axes of the mesh files.

    Names and their order stay. A point without a position is NA in tps and morphologika, a number that the header names
    in nts, an empty cell in wide; it is left out of fcsv.

    Example: featurelib export-landmarks --dataset scans --predictions predictions --format slicer --out marks
    """
    from jobs.drivers.export_landmarks import run  # imports take seconds; --help must not

    run(config)


if __name__ == "__main__":
    cli.run(cli.single_command(export_landmarks, "export-landmarks"))
