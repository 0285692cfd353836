"""Rules on files and rows: nothing is missing, and everything can be read."""

from collections.abc import Iterator

from featurelib.datasets.object_names import name_fault, shown
from featurelib.meshes import MESH_SUFFIXES
from featurelib.meshes.file_names import split_mesh_name
from featurelib.validation.dataset.finding import Finding
from featurelib.validation.dataset.survey import Survey


def faulty_rows(survey: Survey) -> Iterator[Finding]:
    """Bad rows of `landmarks.csv` and bad names of mesh files, with the reader's own message."""
    for object_id, line in survey.faults:
        yield Finding("table", "error", object_id, *_advice(line, "correct it"))


def unreadable_meshes(survey: Survey) -> Iterator[Finding]:
    """Mesh files that cannot be read."""
    for object_id, reason in ((unread.object_id, unread.reason) for unread in survey.unread):
        yield Finding("mesh-file", "error", object_id, *_advice(reason, "repair or remove the file"))


def labels_without_a_mesh(survey: Survey) -> Iterator[Finding]:
    """Rows of `landmarks.csv` without a file in `meshes/`."""
    for object_id, row in survey.in_table.items():
        if not row["mesh"]:
            message = f"landmarks.csv has a row for it, but meshes/ has no {object_id}{'|'.join(MESH_SUFFIXES)}"
            yield Finding(
                "label-without-mesh", "error", object_id, message, "add the mesh or correct the row's object_id"
            )


def meshes_without_a_label(survey: Survey) -> Iterator[Finding]:
    """Mesh files without a row in `landmarks.csv`, if the dataset has this file."""
    if not survey.is_labelled:
        return
    known = {*survey.in_table, *(fault.object_id for fault in survey.faults)}
    for name in survey.files:
        object_id, suffix = split_mesh_name(name)
        if suffix in MESH_SUFFIXES and object_id not in known and not name_fault(object_id):
            message = f"meshes/{name} has no row in landmarks.csv, so it is not used for training"
            yield Finding("mesh-without-label", "warning", object_id, message, "label or remove it")


def unused_files(survey: Survey) -> Iterator[Finding]:
    """Files in `meshes/` whose ending is not that of a mesh file."""
    for name in survey.files:
        if split_mesh_name(name)[1] not in MESH_SUFFIXES:
            message = f"meshes/{shown(name)} is not read: its ending is none of {' '.join(MESH_SUFFIXES)}"
            yield Finding("unused-file", "note", None, message, "convert it if it is a mesh, otherwise ignore this")


def _advice(line: str, otherwise: str) -> tuple[str, str]:
    """Return an error's message and its fix, which follows the last semicolon or is in the last brackets."""
    message, semicolon, fix = line.rpartition("; ")
    if semicolon:
        return message, fix
    message, bracket, fix = line.rpartition(" (")
    return (message, fix[:-1]) if bracket and line.endswith(")") else (line, otherwise)
