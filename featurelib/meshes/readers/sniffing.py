"""Determine a file's type from its bytes, whatever its ending is."""

import re
import struct

from featurelib.errors import DataError

STL_HEADER_BYTES, STL_FACE_BYTES = 84, 50
"""A binary STL: 80 free bytes and the number of faces, then twelve floats and two bytes per face."""

_LOOK_AT = 4096

_GLTF_KEYS = (
    b"accessors", b"animations", b"asset", b"buffers", b"bufferViews", b"cameras", b"extensions(?:Used|Required)?",
    b"images", b"materials", b"meshes", b"nodes", b"samplers", b"scenes?", b"skins", b"textures",
)  # fmt: skip
"""One of these is the first key of a glTF."""

_MESHES = (
    (".glb", re.compile(rb"glTF[\x01\x02]\0\0\0")),
    (".gltf", re.compile(rb"\s*\{\s*\"(?:" + b"|".join(_GLTF_KEYS) + rb")\"\s*:")),
    (".vtk", re.compile(rb"# vtk DataFile Version")),
    (".vtp", re.compile(rb"\s*(?:<\?xml[^>]*>)?\s*(?:<!--[^>]*-->\s*)*<VTKFile\b")),
    (".ply", re.compile(rb"ply[ \t]*[\r\n]\s*(format|comment|obj_info|element)\b")),
    (".off", re.compile(rb"\s*(?:#[^\n]*\n\s*)*(?:ST)?[CN]*4?n?OFF(?![A-Za-z_])")),
    (".stl", re.compile(rb"\s*solid\b[^\0]*?\bfacet\s+normal\b", re.IGNORECASE)),
    (".obj", re.compile(rb"(?:\s*(?:#|(?:mtllib|usemtl|o|g|s|vn|vt)\b)[^\n\0]*\n)*\s*v[ \t]+[-+.\d]+[ \t]+[-+.\d]")),
)

_OTHERS = (
    (re.compile(rb"PK(\x03\x04|\x05\x06)"), "a ZIP archive", "unpack it and use the mesh inside"),
    (re.compile(rb"\x1f\x8b"), "a gzip archive", "unpack it and use the mesh inside"),
    (
        re.compile(rb"BZh\d|\xfd7zXZ\0|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd"),
        "an archive",
        "unpack it and use the mesh inside",
    ),
    (re.compile(rb"\x89PNG"), "a PNG image", "give the mesh, not an image of it"),
    (re.compile(rb"\xff\xd8\xff"), "a JPEG image", "give the mesh, not an image of it"),
    (re.compile(rb"%PDF"), "a PDF", "give the mesh"),
    (re.compile(rb"\s*<(!doctype html|html|head|body)\b", re.IGNORECASE), "an HTML page", "download the file itself"),
    (re.compile(rb"version https://git-lfs"), "a Git LFS pointer", "run `git lfs pull` to get the mesh"),
    (re.compile(rb"\s*\{\s*\""), "JSON", "export a glTF as one .glb, with everything inside"),
    (re.compile(rb"\s*<\?xml"), "XML", "export it as .ply, .obj, .stl, .glb, .off or .vtp"),
)


def refuse_other_content(data: bytes, suffix: str, packed: str = "") -> None:
    """Raise DataError if the bytes are certainly not a file of the type `suffix` (".ply"); packed: a second ending."""
    if suffix == ".stl" and is_binary_stl(data):  # its first 80 bytes are free, and may be "solid" or "PK"
        return
    found = mesh_suffix_of(data)
    if found == suffix:
        return
    if found:
        raise DataError(f"is {_a(found)} file, not {_a(suffix)}; rename it to end in {found}{packed}")
    for pattern, what, fix in _OTHERS:
        if pattern.match(data[:_LOOK_AT]):
            raise DataError(f"is {what}, not {_a(suffix)}; {fix}")


def mesh_suffix_of(data: bytes) -> str | None:
    """Return the ending of the bytes' mesh type; None if their beginning is that of no known type."""
    beginning = data[:_LOOK_AT].removeprefix(b"\xef\xbb\xbf")
    for suffix, pattern in _MESHES:
        if pattern.match(beginning):
            return suffix
    return ".stl" if is_binary_stl(data) else None


def is_binary_stl(data: bytes) -> bool:
    """Whether the number of faces in the header matches the file's size, which is never true of a text file."""
    if len(data) <= STL_HEADER_BYTES:
        return False
    (num_faces,) = struct.unpack_from("<I", data, 80)
    return len(data) == STL_HEADER_BYTES + STL_FACE_BYTES * int(num_faces)


def _a(suffix: str) -> str:
    """Return the name of a file type with its article."""
    name = suffix.removeprefix(".").upper()
    return f"a{'n' if name in ('OBJ', 'OFF', 'STL') else ''} {name}"
