"""Rules on files and rows: everything that should be there is, and can be read."""

from collections.abc import Iterator

from featurelib.meshes import MESH_SUFFIXES
from featurelib.validation.dataset.finding import Finding
from featurelib.validation.dataset.survey import Survey


def faulty_rows(survey: Survey) -> Iterator[Finding]:
    """Rows of `landmarks.csv` and names of mesh files that make no sense, in the words of the reader itself."""
    for object_id, line in survey.faults:
        yield Finding("table", "error", object_id, *_advice(line, "correct it"))


def unreadable_meshes(survey: Survey) -> Iterator[Finding]:
    """Mesh files that no mesh comes out of."""
    for object_id, reason in ((unread.object_id, unread.reason) for unread in survey.unread):
        yield Finding("mesh-file", "error", object_id, *_advice(reason, "repair the file or take it out"))


def labels_without_a_mesh(survey: Survey) -> Iterator[Finding]:
    """Rows of `landmarks.csv` without a file in `meshes/`."""
    for object_id, row in survey.in_table.items():
        if not row["mesh"]:
            says = f"landmarks.csv has a row for it, but meshes/ has no {object_id}{'|'.join(MESH_SUFFIXES)}"
            yield Finding("label-without-mesh", "error", object_id, says, "add the mesh or correct the row's object_id")


def meshes_without_a_label(survey: Survey) -> Iterator[Finding]:
    """Mesh files without a row in `landmarks.csv`, where there is one."""
    if not survey.is_labelled:
        return
    known = {*survey.in_table, *(fault.object_id for fault in survey.faults)}
    for name in survey.files:
        object_id, _, suffix = name.rpartition(".")
        if f".{suffix.lower()}" in MESH_SUFFIXES and object_id not in known:
            says = f"meshes/{name} has no row in landmarks.csv, so no training uses it"
            yield Finding("mesh-without-label", "warning", object_id, says, "label it or take it out")


def unused_files(survey: Survey) -> Iterator[Finding]:
    """Files in `meshes/` that are no meshes by their ending."""
    for name in survey.files:
        if f".{name.rpartition('.')[2].lower()}" not in MESH_SUFFIXES:
            says = f"meshes/{name} is not read: its ending is none of {' '.join(MESH_SUFFIXES)}"
            yield Finding("unused-file", "note", None, says, "convert it if it is an object's mesh, else ignore this")


def _advice(line: str, otherwise: str) -> tuple[str, str]:
    """Return what an error's line says, and the advice after its last semicolon or in its last brackets."""
    says, semicolon, fix = line.rpartition("; ")
    if semicolon:
        return says, fix
    says, bracket, fix = line.rpartition(" (")
    return (says, fix[:-1]) if bracket and line.endswith(")") else (line, otherwise)
