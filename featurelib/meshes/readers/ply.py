"""PLY: a header that describes elements, and their values as text or binary.

Source: http://paulbourke.net/dataformats/ply/. Text is converted to a binary body of doubles, so that one reader is
enough. Images that a comment names (TextureFile) are other files, which are never opened.
"""

import re

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits
from featurelib.meshes.readers.cutting import notes_on_few_corners, triangles
from featurelib.meshes.readers.ply_rows import Body, Column, Element, Property, read_element
from featurelib.meshes.readers.polygons import RawMesh, refuse_missing_vertices, rgb_uint8, strips, whole_numbers
from featurelib.meshes.readers.text import numbers, quoted

MAX_HEADER_BYTES = 1 << 16
"""Real headers have a few hundred bytes; the longest have comments of a scanner."""

MAX_NAME = 60
"""Longest name of an element or a property, because messages quote it; real names have at most a dozen letters."""

_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4", "int64": "i8",
    "uint64": "u8", "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip

_BYTE_ORDERS = {"ascii": "<", "binary_little_endian": "<", "binary_big_endian": ">"}

_REMARKS = ("comment", "obj_info")

_INDEX_NAMES = ("vertex_indices", "vertex_index", "vertex_indexes")

_STRIPS = "tristrips"
"""Triangle strips in one list, which -1 separates, as in the Stanford 3D Scanning Repository."""

_COLOURS = (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"), ("r", "g", "b"))

_MAC = re.compile(rb"ply[ \t]*\r(?!\r?\n)")
"""Begins a header whose lines end with CR alone."""

_REMARK_LINE = re.compile(rb"(?m)^[ \t]*(?:comment|obj_info)\b[^\r\n]*")

_END = re.compile(rb"\nend_header[ \t]*\r{0,2}\n")
_MAC_END = re.compile(rb"\rend_header[ \t]*\r")


def read_ply(data: bytes, limits: Limits) -> RawMesh:
    """Return the mesh of a PLY file, with polygons as triangles and colours of faces averaged at the vertices.

    Raises:
        DataError: if the header is damaged or does not match the size of the file.
    """
    is_text, elements, start = _read_header(data)
    counts = {element.name: element.num_rows for element in elements}
    limits.check_counts(counts.get("vertex", 0), max(counts.get("face", 0), 1))
    surface = _surface(elements)
    if is_text:
        declared = elements
        elements = [_as_doubles(element) for element in elements]
        body = Body(_numbers_of_text(data[start:]).tobytes(), 0, "numbers", 8)
    else:
        body = Body(data, start, "bytes", 1)
    columns = {}
    for element in elements:
        columns[element.name], body = read_element(body, element)
    notes = body.notes_on_rest(elements[-1])
    if surface not in ("face", _STRIPS):
        notes = (f"faces are read from the element {surface!r}", *notes)
    notes += tuple(f"left out the element {name!r}, which also has faces" for name in _with_faces(elements)[1:])
    if is_text:
        columns = {element.name: _declared(columns[element.name], element) for element in declared}
    columns = {name: _in_lower_case(of_element) for name, of_element in columns.items()}
    mesh = _mesh(columns.get("vertex", {}), columns[surface], surface == _STRIPS, limits)
    return mesh._replace(notes=notes + mesh.notes)


def _surface(elements: list[Element]) -> str:
    """Return the name of the element that has the faces: face, strips, or any other with a list of vertices.

    Raises:
        DataError: saying what there is instead.
    """
    if found := _with_faces(elements):
        return found[0]
    rows = {element.name: element.num_rows for element in elements if element.num_rows}
    others = ", ".join(f"{count:,} {name!r}" for name, count in rows.items() if name != "vertex")
    if others:
        raise DataError(f"no faces, but elements {others[:60]}; expected an element 'face' with a list vertex_indices")
    raise DataError("no faces; a point cloud cannot be rendered (reconstruct its surface)")


def _with_faces(elements: list[Element]) -> list[str]:
    """Return the names of the elements with rows that have faces, the preferred one first."""
    rows = {element.name: element.num_rows for element in elements}
    lists = [e.name for e in elements if any(p.name in _INDEX_NAMES and p.count_dtype for p in e.properties)]
    return [name for name in dict.fromkeys(("face", _STRIPS, *lists)) if rows.get(name)]


def _read_header(data: bytes) -> tuple[bool, list[Element], int]:
    """Return whether the body is text, the elements, and the position of the body."""
    if not data.startswith(b"ply"):
        raise DataError(f"begins with {quoted(data)}; expected 'ply'")
    end = (_MAC_END if _MAC.match(data) else _END).search(data, 0, MAX_HEADER_BYTES)
    if not end:
        raise DataError(f"no end_header in its first {MAX_HEADER_BYTES:,} bytes (the file is cut off or damaged)")
    kind, elements = "", []
    for line in data[: end.start()].splitlines()[1:]:
        words = line.decode("latin-1").split()
        match words if " ".join(words).isprintable() or words[0] in _REMARKS else ["damaged"]:
            case ["format", kind, *_] if kind in _BYTE_ORDERS:
                pass
            case ["element", name, count] if len(name) < MAX_NAME and re.fullmatch(r"-?[0-9]{1,18}", count):
                elements.append(Element(name, int(count), []))
            case ["property", *description, name] if elements and kind and len(name) < MAX_NAME:
                elements[-1].properties.append(_property(name, description, _BYTE_ORDERS[kind]))
            case []:
                pass
            case [word, *_] if word in _REMARKS:
                pass
            case _:
                raise DataError(f"header line {quoted(line)}; expected format, element, property or comment")
    return kind == "ascii", elements, end.end()


def _property(name: str, description: list[str], byte_order: str) -> Property:
    match description:
        case ["list", count_type, value_type] if count_type in _TYPES and value_type in _TYPES:
            if count_type in ("float", "double", "float32", "float64"):
                raise DataError(
                    f"list {name!r} has a count of type {count_type}; expected an integer type such as uchar"
                )
            return Property(name, np.dtype(byte_order + _TYPES[value_type]), np.dtype(byte_order + _TYPES[count_type]))
        case [value_type] if value_type in _TYPES:
            return Property(name, np.dtype(byte_order + _TYPES[value_type]))
    raise DataError(
        f"property {quoted(' '.join([*description, name]).encode('latin-1'))}; expected a type such as float and a name"
    )


def _as_doubles(element: Element) -> Element:
    double = np.dtype("<f8")
    properties = [Property(name, double, count_dtype and double) for name, _, count_dtype in element.properties]
    return Element(element.name, element.num_rows, properties)


def _numbers_of_text(text: bytes) -> NDArray[np.float64]:
    if b"comment" in text or b"obj_info" in text:  # allowed in the header alone, but written between elements
        text = _REMARK_LINE.sub(b"", text)
    return numbers(text.rstrip(b" \t\r\n\0\x1a"))


def _declared(columns: dict[str, Column], element: Element) -> dict[str, Column]:
    """Return the columns of a text with bytes and shorts in their types, on which the scale of colours depends."""
    small = {name: dtype for name, dtype, count in element.properties if not count and dtype.str[1:] in ("u1", "u2")}
    return {name: _cast(column, small[name]) if name in small else column for name, column in columns.items()}


def _cast(column: Column, dtype: np.dtype) -> Column:
    """Return a column in an integer type, or as it is if its values do not fit the type."""
    values = column.values.astype(dtype)
    return Column(values) if (values == column.values).all() else column


def _in_lower_case(columns: dict[str, Column]) -> dict[str, Column]:
    """Return columns under their names, and under these in lower case where no other has that name."""
    return {name.lower(): column for name, column in columns.items()} | columns


def _mesh(vertex: dict[str, Column], face: dict[str, Column], is_strips: bool, limits: Limits) -> RawMesh:
    """Return the mesh of the columns of the elements with the vertices and with the faces or strips."""
    if any(name not in vertex or vertex[name].counts is not None for name in "xyz"):
        raise DataError(f"vertices have {_listed(vertex)}; expected the properties x, y and z")
    indices = next((face[name] for name in _INDEX_NAMES if name in face), None)
    if indices is None or indices.counts is None:
        raise DataError(f"faces have {_listed(face)}; expected a list named vertex_indices")
    vertices = np.stack([vertex[name].values for name in "xyz"], axis=1)
    corners, colours = whole_numbers(indices.values, "a face's corner"), _colours(vertex)
    if is_strips:
        return RawMesh(vertices, _of_strips(corners, indices.counts, limits), colours)
    notes: tuple[str, ...] = ()
    if (indices.counts == 3).all():
        faces = corners.reshape(-1, 3)
    else:
        faces = triangles(indices.counts, corners, vertices, limits)
        notes = notes_on_few_corners(indices.counts)
    if colours is None and (of_faces := _colours(face)) is not None:
        refuse_missing_vertices(corners, len(vertices))
        colours = _mean_around(np.repeat(of_faces, indices.counts, axis=0), corners, len(vertices))
    return RawMesh(vertices, faces, colours, notes=notes)


def _of_strips(corners: NDArray[np.integer], counts: NDArray[np.int64], limits: Limits) -> NDArray[np.int64]:
    """Return the (m, 3) triangles of lists of strips, whose lengths are `counts`."""
    corners = np.where(corners == 2**32 - 1, -1, corners)  # -1 in an unsigned type
    faces = strips(np.insert(corners, np.cumsum(counts)[:-1], -1))
    if not len(faces):
        raise DataError("its triangle strips have no triangle; export the surface again")
    limits.check_counts(0, len(faces))
    return faces


def _listed(columns: dict[str, Column]) -> str:
    names = ", ".join(columns) or "nothing"
    return names if len(names) <= 60 else names[:57] + "..."


def _colours(columns: dict[str, Column]) -> NDArray[np.uint8] | None:
    """Return the (n, 3) colours of an element, or None."""
    names = next((names for names in _COLOURS if all(name in columns for name in names)), ())
    rgb = [columns[name] for name in names]
    if not rgb or any(column.counts is not None for column in rgb):
        return None
    return rgb_uint8(np.stack([column.values for column in rgb], axis=1))


def _mean_around(corner_colours: NDArray[np.uint8], corners: NDArray[np.integer], count: int) -> NDArray[np.uint8]:
    """Return the mean colour (count, 3) at each vertex, of the colours (k, 3) of corners (k,)."""
    sums = [np.bincount(corners, channel, count) for channel in corner_colours.T]
    return np.rint(np.stack(sums, axis=1) / np.maximum(np.bincount(corners, minlength=count), 1)[:, None]).astype(
        np.uint8
    )
