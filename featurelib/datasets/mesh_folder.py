"""The files of a folder that a user wants to import: which are meshes of which objects, and what is not read."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from featurelib.datasets.faults import Fault, report
from featurelib.datasets.landmark_files.formats import suffix_of
from featurelib.datasets.object_names import alike, name_fault, shown
from featurelib.errors import DataError
from featurelib.meshes.file_names import split_mesh_name
from featurelib.runtime import storage

IGNORED = ("__MACOSX", "Thumbs.db", "desktop.ini")
"""What systems add to folders without being asked; names that begin with a dot are never listed."""

ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".zst")

PLACES_SHOWN = 10
"""Number of names in a line."""


@dataclass(frozen=True)
class MeshFolder:
    """The files of a folder.

    meshes: path in the folder of each object's mesh.
    others: paths of all files that are not meshes; some belong to meshes, such as textures.
    notes: lines on how the folder was read.
    """

    uri: str
    meshes: Mapping[str, str]
    others: Sequence[str] = ()
    notes: Sequence[str] = ()

    def uri_of(self, object_id: str) -> str:
        """Return the URI of an object's mesh."""
        return storage.join(self.uri, self.meshes[object_id])


def read_mesh_folder(uri: str, suffixes: Sequence[str], faults: list[Fault] | None, skip: str = "") -> MeshFolder:
    """Return the meshes of a folder, or of its subfolders if each has one mesh and the folder itself has none.

    Args:
        uri: of the folder.
        suffixes: endings of meshes, lower case.
        faults: receives the files that are left out; without it the first is an error.
        skip: a folder that is not searched, if it is below this one.

    Raises:
        DataError: if there are no meshes, or two have the same name, or a subfolder has several.
    """
    paths = [path for path in storage.list_tree(uri) if not set(path.split("/")) & set(IGNORED)]
    paths = [path for path in paths if not (skip and storage.join(uri, path).startswith(f"{skip}/"))]
    found = [path for path in paths if _is_mesh(path, suffixes)]
    top, below = ([path for path in found if ("/" in path) == is_below] for is_below in (False, True))
    for path in below if top else ():
        fault = "in a subfolder, beside meshes in the folder itself; move it up, or import the subfolder alone"
        report(faults, None, f"{shown(path)}: {fault}")
    named = [(split_mesh_name(path)[0], path) for path in top] or [*_one_per_subfolder(uri, below)]
    meshes = _objects(uri, named, faults)
    if not meshes:
        reason = f"the first: {faults[0].message}" if faults else f"expected {', '.join(suffixes)}"
        raise DataError(f"{uri}: no mesh files; {reason}")
    note = f"each subfolder has one mesh, and the subfolder's name is the object's id: {some([*meshes.values()])}"
    return MeshFolder(uri, meshes, [path for path in paths if path not in set(found)], () if top else (note,))


def unread_files(folder: MeshFolder, used: Iterable[str]) -> Iterator[str]:
    """Yield one line per kind of file that is not read: archives, landmark files, and others by their ending.

    used: paths of the files that were read together with meshes or landmarks, or that another line is about.
    """
    known = set(used)
    kinds: dict[str, list[str]] = defaultdict(list)
    for path in folder.others:
        if path not in known:
            kinds[_kind(path, folder)].append(path)
    for kind, paths in sorted(kinds.items()):
        yield kind.format(count=len(paths), s="s" * (len(paths) > 1), names=some(paths))


def _kind(path: str, folder: MeshFolder) -> str:
    """Return the text of the line that names a file."""
    if path.lower().endswith(ARCHIVES):
        return "{count} archive{s}; unpack what you need: {names}"
    if suffix_of(path) not in (None, ".txt"):  # a .txt among meshes is hardly ever one of landmarks
        return "{count} landmark file{s} beside the meshes; name the folder with --landmarks: {names}"
    top = path.partition("/")[0]
    if "/" in path and not any(mesh.startswith(f"{top}/") for mesh in folder.meshes.values()):
        return "{count} file{s} in subfolders without a mesh: {names}"
    _, dot, ending = path.rpartition("/")[2].rpartition(".")
    kind = shown(f"{dot}{ending.lower()} ").replace("{", "{{").replace("}", "}}") if dot else ""
    return f"{{count}} {kind}file{{s}}: {{names}}"


def some(names: Sequence[str]) -> str:
    """Return the first names, and the number of the others."""
    first = ", ".join(map(shown, names[:PLACES_SHOWN]))
    return first if len(names) <= PLACES_SHOWN else f"{first} and {len(names) - PLACES_SHOWN} more"


def refuse_alike(where: str, object_ids: Iterable[str]) -> None:
    """Raise DataError if two ids differ only by case or Unicode form: tables and file systems confuse them."""
    for first, second in alike(object_ids):
        raise DataError(
            f"{where}: objects {first!r} and {second!r} differ only by case or by composed letters; rename one"
        )


def _is_mesh(path: str, suffixes: Sequence[str]) -> bool:
    object_id, suffix = split_mesh_name(path.rpartition("/")[2])
    return bool(object_id) and suffix in suffixes and suffix_of(path) is None


def _one_per_subfolder(uri: str, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield object and path of the only mesh of each subfolder."""
    by_folder: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        by_folder[path.partition("/")[0]].append(path)
    for folder, found in by_folder.items():
        if len(found) > 1:
            raise DataError(
                f"{uri}: subfolder {shown(folder)} has {len(found)} meshes ({some(found)}); keep one per subfolder, or "
                "put all meshes into one folder, named after their objects"
            )
        yield folder, found[0]


def _objects(uri: str, named: Iterable[tuple[str, str]], faults: list[Fault] | None) -> dict[str, str]:
    """Return path by object; names that no table can hold are faults."""
    meshes: dict[str, str] = {}
    for object_id, path in named:
        if fault := name_fault(object_id):
            report(faults, None, f"{shown(path)}: {fault}")
        elif object_id in meshes:
            raise DataError(f"{uri}: {path} and {meshes[object_id]} are both object {object_id}; keep one")
        else:
            meshes[object_id] = path
    refuse_alike(uri, meshes)
    return meshes
