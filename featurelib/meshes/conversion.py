"""Convert the user's own mesh files to types that are read: with trimesh to PLY, and a glTF with its folder to GLB."""

import io
import posixpath
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import numpy as np

from featurelib.errors import DataError
from featurelib.meshes.loading import MESH_SUFFIXES
from featurelib.meshes.readers.gltf import member, objects, short
from featurelib.meshes.readers.gltf_files import embedded, is_elsewhere, parse
from featurelib.meshes.readers.materials import base_colour
from featurelib.meshes.writers.glb import pack
from featurelib.meshes.writers.ply import ply

MAX_SINGLE_SIZES = 64
"""Coordinates up to this many sizes of the mesh are written in single precision: steps of 1/130,000 of the size."""


def foreign_suffixes() -> tuple[str, ...]:
    """Return the file endings that only trimesh reads, with the packages that are installed."""
    from trimesh.exchange.load import mesh_formats  # takes 0.5 s, and few commands need it

    return tuple(sorted({f".{name}" for name in mesh_formats()} - {*MESH_SUFFIXES, ".xyz", ".stl_ascii"}))


def as_ply(content: bytes, suffix: str, name: str) -> bytes:
    """Return a mesh file as PLY in its own axes and unit, in single precision unless it is far from its origin.

    Raises:
        DataError: if trimesh cannot read the file, or it has no faces.
    """
    import trimesh

    try:
        mesh = trimesh.load(io.BytesIO(content), file_type=suffix.removeprefix("."), force="mesh", process=False)
        vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int32)
    except Exception as error:  # noqa: BLE001 (each reader of trimesh raises its own errors)
        raise DataError(f"{name}: cannot be read, {type(error).__name__}: {error}; export it as PLY") from None
    if not len(faces):
        raise DataError(f"{name}: no faces; export a surface, as PLY")
    is_far = np.abs(vertices).max(initial=0) > MAX_SINGLE_SIZES * np.ptp(vertices, axis=0).max(initial=0)
    return ply(vertices if is_far else vertices.astype(np.float32), faces)


def pack_gltf(content: bytes, read: Callable[[str], bytes | None]) -> bytes:
    """Return a glTF as one GLB, with its buffers and its base colour images inside.

    Images that are not found, or are no base colour, stay references, which the reader of GLB notes or ignores.

    Args:
        content: the JSON.
        read: returns the content of a file beside it, by its relative path, or None if there is none. It is never
            called with a path outside the folder.

    Raises:
        DataError: if a buffer is missing or the file is damaged.
    """
    document = parse(content)
    buffers, images, views = (objects(document, name) for name in ("buffers", "images", "bufferViews"))
    binary = bytearray()
    starts = [_append(binary, _buffer(entry, read)) for entry in buffers]
    for view in views:
        if type(view.get("buffer")) is not int or not 0 <= view["buffer"] < len(starts):
            raise DataError(f"refers to buffers[{short(view.get('buffer'))}], but has {len(starts)} buffers")
        offset = view.get("byteOffset", 0)
        if type(offset) is not int or offset < 0:
            raise DataError(f"'byteOffset' in its JSON is {short(offset)}; expected an integer, at least 0")
        view["byteOffset"] = starts[view["buffer"]] + offset
        view["buffer"] = 0
    for index in _base_colour_images(document):
        uri = images[index].get("uri")
        if uri is not None and is_elsewhere(uri) and (image := _beside(uri, read)) is not None:
            views.append({"buffer": 0, "byteOffset": _append(binary, image), "byteLength": len(image)})
            images[index] = {"bufferView": len(views) - 1}
    document |= {"buffers": [{"byteLength": len(binary)}], "bufferViews": views}
    return pack(document, bytes(binary))


def _append(binary: bytearray, content: bytes) -> int:
    """Append some bytes and return where they start, at a multiple of four."""
    binary += bytes(-len(binary) % 4)
    start = len(binary)
    binary += content
    return start


def _buffer(entry: dict[str, Any], read: Callable[[str], bytes | None]) -> bytes:
    """Return the bytes of a buffer."""
    uri = entry.get("uri")
    if not is_elsewhere(uri):
        return embedded(uri)
    if uri is None:
        raise DataError("a buffer names no file (the file is damaged)")
    content = _beside(uri, read)
    if content is None:
        raise DataError(f"its buffer {short(uri)} is not beside it; copy that file as well, or export one .glb")
    return content


def _beside(uri: Any, read: Callable[[str], bytes | None]) -> bytes | None:
    """Return the content of a file in the glTF's folder or below; None if it is elsewhere or does not exist."""
    path = posixpath.normpath(unquote(uri)) if isinstance(uri, str) and uri else ".."
    is_outside = path.startswith(("/", "..")) or path == "." or any(letter in path for letter in "\\:\0")
    return None if is_outside else read(path)


def _base_colour_images(document: dict[str, Any]) -> list[int]:
    """Return the indices of the images of base colour textures that exist."""
    textures, count = objects(document, "textures"), len(objects(document, "images"))
    chosen = [base_colour(entry).get("baseColorTexture") for entry in objects(document, "materials")]
    used = [entry["index"] for entry in chosen if isinstance(entry, dict) and type(entry.get("index")) is int]
    found = [textures[index] for index in used if 0 <= index < len(textures)]
    sources = [texture.get("source") for texture in found]
    sources += [member(texture, "extensions", "EXT_texture_webp").get("source") for texture in found]
    return sorted({source for source in sources if type(source) is int and 0 <= source < count})
