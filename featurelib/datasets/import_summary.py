"""What an import did, in lines that a person can check and as values for JSON."""

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from featurelib.datasets.faults import Fault
from featurelib.datasets.mesh_folder import MeshFolder, some, unread_files
from featurelib.datasets.mesh_import import ImportedMesh
from featurelib.datasets.object_names import shown
from featurelib.geometry import LandmarkSet
from featurelib.meshes.file_names import split_mesh_name
from featurelib.runtime import storage

REASONS_SHOWN = 10
"""Number of reasons, or of notes of one kind, that are printed."""

FEW_SHARE = 0.2
"""A landmark that fewer objects have than this share of the most frequent one's is named."""

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".tga")

NUMBER = re.compile(r"\d[\d,.]*")


@dataclass(frozen=True)
class Summary:
    """What an import did.

    dataset: its URI. meshes: number that was imported. labelled: number of rows in landmarks.csv.
    left_out: the faults of files, rows and points that are not in the dataset.
    repaired: notes of the mesh readers by object. off_mesh: landmarks far from their mesh, by object.
    landmarks: the set; None without landmarks. points: number of imported objects that have each landmark, by name.
    unlabelled: objects of which the landmark files have no landmarks. kept: those of them with an earlier import's.
    notes: how files were matched. pairs: lines on inferred pairs. doubts: what was guessed about the set.
    unread: which files were not read.
    """

    dataset: str = ""
    meshes: int = 0
    labelled: int = 0
    left_out: Sequence[Fault] = ()
    repaired: Mapping[str, Sequence[str]] = field(default_factory=dict)
    off_mesh: Mapping[str, str] = field(default_factory=dict)
    landmarks: LandmarkSet | None = None
    points: Mapping[str, int] = field(default_factory=dict)
    unlabelled: Sequence[str] = ()
    kept: Sequence[str] = ()
    notes: Sequence[str] = ()
    pairs: Sequence[str] = ()
    doubts: Sequence[str] = ()
    unread: Sequence[str] = ()

    @classmethod
    def of(
        cls,
        folder: MeshFolder,
        meshes: Mapping[str, ImportedMesh],
        labelled: Container[str],
        used: Iterable[str],
    ) -> Self:
        """Return what can be told of imported meshes.

        Args:
            folder: of the meshes.
            meshes: those that were imported from it.
            labelled: the objects whose landmarks were imported.
            used: URIs of other files that were read.
        """
        off = {object_id: mesh.off.warning for object_id, mesh in meshes.items() if object_id in labelled and mesh.off}
        return cls(
            meshes=len(meshes),
            repaired={object_id: mesh.notes for object_id, mesh in meshes.items() if mesh.notes},
            off_mesh={object_id: warning for object_id, warning in off.items() if warning},
            unlabelled=[object_id for object_id in meshes if object_id not in labelled],
            unread=_unread(folder, meshes, used),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        landmarks = self.landmarks and self.landmarks.to_dict()
        return {
            **asdict(replace(self, landmarks=None)),
            "landmarks": landmarks,
            "left_out": [fault._asdict() for fault in self.left_out],
        }

    @property
    def information(self) -> Iterator[str]:
        """Lines on what a person may want to know."""
        yield from _first([f"note: {shown(line)}" for line in self.notes], "notes")
        notes = ((object_id, note) for object_id, several in self.repaired.items() for note in several)
        yield from _first([*_grouped("repaired or not read", notes)], "such notes")
        yield from (f"not read: {line}" for line in self.unread)
        yield from self.pairs
        if self.kept:
            yield f"without landmarks in these files, so the earlier ones stay in landmarks.csv: {some(self.kept)}"
        if without := [object_id for object_id in self.unlabelled if object_id not in set(self.kept)]:
            yield f"without landmarks: {some(without)}"

    @property
    def warnings(self) -> Iterator[str]:
        """Lines on what a person has to decide."""
        yield from self.doubts
        num_labelled = max(self.points.values(), default=0)
        if few := [name for name, count in self.points.items() if count < FEW_SHARE * num_labelled]:
            counted = [f"{name} ({self.points[name]})" for name in few]
            yield f"few objects have: {some(counted)}; check how these landmarks are named in the files"
        yield from _first([f"off the mesh: {i}: {line}" for i, line in self.off_mesh.items()], "objects")
        if 2 * len(self.off_mesh) > self.labelled:
            yield "most landmarks are off the mesh: were the meshes moved or scaled after they were marked?"
        reasons = (_name_and_reason(fault) for fault in self.left_out)
        yield from _first([*_grouped("left out", reasons)], "reasons")

    @property
    def result(self) -> str:
        """The last line, without the advice that follows."""
        parts = [f"{self.meshes} mesh{'es' * (self.meshes != 1)}"]
        parts += [f"{self.labelled} with landmarks"] if self.labelled else []
        parts += self._set_parts
        counts = {"left out": len(self.left_out), "repaired": len(self.repaired), "off the mesh": len(self.off_mesh)}
        return ", ".join(parts + [f"{count} {what}" for what, count in counts.items() if count])

    @property
    def _set_parts(self) -> Sequence[str]:
        """What the last line says about a set; nothing about one pair."""
        if self.landmarks is None or self.landmarks.is_single_pair:
            return ()
        roles = {"midline": len(self.landmarks.midline), "unpaired": len(self.landmarks.unpaired)}
        num_pairs = len(self.landmarks.pairs)
        found = [f"{num_pairs} pair{'s' * (num_pairs != 1)}"] if num_pairs else []
        found += [f"{count} {what}" for what, count in roles.items() if count]
        low, high = min(self.points.values(), default=0), max(self.points.values(), default=0)
        each = f"{low} to {high}" if low < high else f"{low}"
        return (*found, f"{each} objects per landmark") if self.points else found


def _unread(folder: MeshFolder, meshes: Mapping[str, ImportedMesh], used: Iterable[str]) -> list[str]:
    """Return the lines on files of a folder that were not read."""
    textured = [folder.meshes[object_id] for object_id, mesh in meshes.items() if mesh.has_unread_textures]
    read = {*used, *(uri for mesh in meshes.values() for uri in mesh.beside)}
    others = [path for path in folder.others if storage.join(folder.uri, path) in read]
    if not textured:
        return [*unread_files(folder, others)]
    kinds = " and ".join(sorted({split_mesh_name(path)[1][1:].upper() for path in textured}))
    files = f"{len(textured)} {kinds} file{'s' * (len(textured) != 1)}"
    line = f"textures of {files}, drawn without them: {some(textured)}"
    return [line, *unread_files(folder, [*others, *(p for p in folder.others if p.lower().endswith(IMAGES))])]


def _name_and_reason(fault: Fault) -> tuple[str, str]:
    """Return what a fault is about, and the text that faults of the same reason share."""
    name, colon, reason = fault.message.partition(": ")
    if colon and fault.object_id and reason.startswith(f"{fault.object_id}: "):
        return f"{name}: {fault.object_id}", reason.removeprefix(f"{fault.object_id}: ")
    return (name, reason) if colon else (fault.object_id or "", fault.message)


def _grouped(what: str, items: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a line per reason, with the names of what it is about; reasons may differ in their numbers."""
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, reason in items:
        groups[NUMBER.sub("0", reason)].append((name, reason))
    for found in groups.values():
        names, reasons = [name for name, _ in found], {reason for _, reason in found}
        if len(found) == 1:
            yield f"{what}: {shown(names[0])}: {shown(found[0][1])}"
        else:
            alike = "" if len(reasons) == 1 else " (and similar)"
            yield f"{what}: {len(found)} with {shown(found[0][1])}{alike}: {some(names)}"


def _first(lines: Sequence[str], what: str) -> Iterator[str]:
    yield from lines[:REASONS_SHOWN]
    if len(lines) > REASONS_SHOWN:
        yield f"and {len(lines) - REASONS_SHOWN} more {what}; --json lists all"
