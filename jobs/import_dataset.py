"""A folder of meshes and other programs' landmark files -> DATASET, in the layout that all commands read."""

from dataclasses import dataclass
from typing import Annotated, Literal

from featurelib.datasets.landmark_files.landmarks import Space
from featurelib.geometry.named_axes import Axis
from featurelib.runtime import cli

Unit = Literal["mm", "cm", "m", "inch"]

PairsFrom = Literal["names", "infer", "none"]
"""What tells the pairs of a landmark set, beside a file."""


@cli.config
@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """What to import.

    Attributes:
        out: Folder or s3:// URI of the new or existing dataset.
        meshes: Folder or s3:// URI of mesh files, one per object, named after its id; or of subfolders with one mesh
            each, named after the ids. Default: OUT/meshes.
        landmarks: Landmark file, or folder of them: Slicer .mrk.json and .fcsv, MeshLab .pp, .json, tables such as
            .csv, IDAV .pts, TPS, NTS, Morphologika.
        unit: Unit of the mesh files; required for a new dataset.
        landmark: Name of the landmark, if only one pair is wanted. Default: all points of the landmark files.
        pairs: What tells the pairs of all points: `names` (words for left and right), `infer` (their positions; look at
            OUT/pairs.html), `none`, or a JSON file with `landmarks` as in dataset.json. Default: names, or the set of
            an existing dataset.
        front: Axis of the mesh files that points out of the face, such as -y; `align` has more options.
        up: Axis of the mesh files that points up, such as +z.
        left: With --landmark, the label of its left point in the files, or the names of three CSV columns x, y and z.
            Default: the label with the word left or l.
        right: The same for the right landmark. Default: the label with the word right or r.
        object_column: CSV column with the object's id or file. Default: found by its name.
        label_column: CSV column with the label, in a table with one row per point. Default: found by its name.
        landmark_unit: Unit of the landmark files. Default: that of the meshes.
        mesh_space: Axes that Slicer assumes for mesh files that do not name theirs.
        link: Link to the mesh files instead of copying them (local folders).
        strict: Stop with an error at the first mesh, landmark file or point that would be left out or is far off its
            mesh. Default: leave it out, and name it.
    """

    out: str
    meshes: str | None = None
    landmarks: str | None = None
    unit: Unit | None = None
    landmark: str | None = None
    pairs: str | None = None
    front: Annotated[Axis | None, cli.hyphened] = None
    up: Annotated[Axis | None, cli.hyphened] = None
    left: tuple[str, ...] = ()
    right: tuple[str, ...] = ()
    object_column: str | None = None
    label_column: str | None = None
    landmark_unit: Unit | None = None
    mesh_space: Space = "LPS"
    link: bool = False
    strict: bool = False


def import_dataset(config: ImportConfig) -> None:
    """Make a dataset from a folder of meshes and landmark files of other programs.

    Landmarks can be imported later and again: rows of objects that the files do not name are kept.

    Example: featurelib import-dataset --meshes scans --landmarks marks --unit mm --pairs infer --out skulls
    """
    from jobs.drivers.import_dataset import run  # imports take seconds; --help must not

    run(config)


if __name__ == "__main__":
    cli.run(cli.single_command(import_dataset, "import-dataset"))
