"""The colours of a GLB: base colour textures, vertex colours, and one base colour per part.

Source: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html, section 3.9; EXT_texture_webp, KHR_texture_basisu,
KHR_texture_transform and KHR_materials_pbrSpecularGlossiness (https://github.com/KhronosGroup/glTF/tree/main/extensions).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits
from featurelib.meshes.readers.gltf import Gltf, floats, member, short
from featurelib.meshes.readers.gltf_files import embedded, is_elsewhere
from featurelib.meshes.readers.polygons import rgb_uint8
from featurelib.meshes.readers.textures import decode, join_textures, refuse_large, unread_kind


class Appearance(NamedTuple):
    """Colours (n, 3) uint8, or uv (n, 2) with a texture (h, w, 3) uint8, or neither; and notes on what is left out."""

    colours: NDArray[np.uint8] | None = None
    uv: NDArray[np.floating] | None = None
    texture: NDArray[np.uint8] | None = None
    notes: tuple[str, ...] = ()


class Unread(NamedTuple):
    """A texture that is left out, and why."""

    note: str


def appearance(gltf: Gltf, primitives: Sequence[dict[str, Any]], counts: Sequence[int], limits: Limits) -> Appearance:
    """Return the concatenated appearance of all primitives; a texture that cannot be read is left out with a note.

    Args:
        gltf: the file.
        primitives: of its JSON.
        counts: number of vertices of each.
        limits: for the pixels of all textures together.

    Raises:
        DataError: if a texture is too large or damaged.
    """
    materials = [_material(gltf, primitive) for primitive in primitives]
    uvs = [_uv(gltf, *entry) for entry in zip(primitives, materials, counts, strict=True)]
    factors = [_factor(material) for material in materials]
    images, contents, notes = _images(gltf, materials, uvs)
    notes += _notes_on_textures(materials, uvs)
    if contents:
        notes += _notes_on_colours(primitives, images)
        refuse_large(list(contents.values()), limits)
        textures: dict[Any, NDArray[np.uint8]] = {index: decode(content) for index, content in contents.items()}
        keys = [factor if index is None else index for index, factor in zip(images, factors, strict=True)]
        plain = {factor: np.full((1, 1, 3), factor, np.uint8) for factor in factors}
        parts = [np.zeros((count, 2)) if uv is None else uv for uv, count in zip(uvs, counts, strict=True)]
        return Appearance(None, *join_textures(parts, [(plain | textures)[key] for key in keys], limits), notes)
    colours = [_colours(gltf, *entry) for entry in zip(primitives, counts, strict=True)]
    if all(part is None for part in colours) and len(set(factors)) <= 1:
        return Appearance(notes=notes)
    filled = [
        np.full((count, 3), factor, np.uint8) if part is None else part
        for part, factor, count in zip(colours, factors, counts, strict=True)
    ]
    return Appearance(np.concatenate(filled), notes=notes)


def _notes_on_textures(
    materials: Sequence[dict[str, Any]], uvs: Sequence[NDArray[np.float64] | None]
) -> tuple[str, ...]:
    """Return a note on parts that have a texture, but no texture positions."""
    pairs = zip(materials, uvs, strict=True)
    num = sum(uv is None and bool(member(material, "baseColorTexture")) for material, uv in pairs)
    return (f"left out the texture of {num:,} part{'s' * (num > 1)} without texture positions",) if num else ()


def _notes_on_colours(primitives: Sequence[dict[str, Any]], images: Sequence[int | None]) -> tuple[str, ...]:
    """Return a note on the vertex colours of parts without a texture, in a scene that has one."""
    pairs = zip(primitives, images, strict=True)
    num = sum(image is None and "COLOR_0" in primitive["attributes"] for primitive, image in pairs)
    parts = f"{num:,} part{'s' * (num > 1)}, because others have textures"
    return (f"left out the vertex colours of {parts}",) if num else ()


def image_of(gltf: Gltf, material: dict[str, Any]) -> int | Unread:
    """Return the index of the image of a base colour texture: WebP first, KTX2 only if there is no other."""
    texture = gltf.entry("textures", material["baseColorTexture"].get("index"))
    webp, ktx2 = (member(texture, "extensions", name) for name in ("EXT_texture_webp", "KHR_texture_basisu"))
    index = webp.get("source", texture.get("source", ktx2.get("source")))
    if index is None:
        return Unread("left out a texture without an image")
    gltf.entry("images", index)
    return int(index)


def _images(
    gltf: Gltf, materials: Sequence[dict[str, Any]], uvs: Sequence[NDArray[np.float64] | None]
) -> tuple[list[int | None], dict[int, bytes], tuple[str, ...]]:
    """Return the image of each primitive, None without one; the content of each image in order; and notes."""
    found = [None if uv is None else image_of(gltf, material) for uv, material in zip(uvs, materials, strict=True)]
    read = {index: _content(gltf, index) for index in sorted({index for index in found if isinstance(index, int)})}
    contents = {index: content for index, content in read.items() if isinstance(content, bytes)}
    notes = dict.fromkeys(entry.note for entry in (*found, *read.values()) if isinstance(entry, Unread))
    images = [index if isinstance(index, int) and index in contents else None for index in found]
    return images, contents, tuple(notes)


def _content(gltf: Gltf, index: int) -> bytes | Unread:
    """Return the encoded bytes of an image."""
    image = gltf.entry("images", index)
    if "uri" in image and is_elsewhere(image["uri"]):
        return Unread(f"left out a texture in another file, {short(image['uri'])}")
    content = embedded(image["uri"]) if "uri" in image else bytes(gltf.view(image.get("bufferView")))
    if not content:
        raise DataError("a texture has no bytes (the file is damaged)")
    if kind := unread_kind(content):
        return Unread(f"left out a texture: it is {kind}, not a PNG, JPEG or WebP")
    return content


def _material(gltf: Gltf, primitive: dict[str, Any]) -> dict[str, Any]:
    """Return the base colour entries of a primitive's material, with the names of pbrMetallicRoughness."""
    return base_colour(gltf.entry("materials", primitive["material"])) if "material" in primitive else {}


def base_colour(material: dict[str, Any]) -> dict[str, Any]:
    """Return the entries on the base colour of a material, with the names of pbrMetallicRoughness."""
    old = member(material, "extensions", "KHR_materials_pbrSpecularGlossiness")
    renamed = {"baseColorTexture": old.get("diffuseTexture"), "baseColorFactor": old.get("diffuseFactor")}
    return {key: value for key, value in renamed.items() if value} | member(material, "pbrMetallicRoughness")


def _uv(gltf: Gltf, primitive: dict[str, Any], material: dict[str, Any], count: int) -> NDArray[np.float64] | None:
    """Return the texture positions (n, 2), with (0, 0) at the bottom-left corner, or None."""
    texture = member(material, "baseColorTexture")
    transform = member(texture, "extensions", "KHR_texture_transform")
    name = f"TEXCOORD_{short(transform.get('texCoord', texture.get('texCoord', 0)))}"
    if not texture or name not in primitive["attributes"]:
        return None
    uv = gltf.accessor(primitive["attributes"][name])
    if uv.shape != (count, 2):
        raise DataError(f"{name} has shape {uv.shape}; expected two for each of {count:,} vertices")
    return _transformed(np.nan_to_num(uv.astype(np.float64)), transform) * (1, -1) + (0, 1)


def _transformed(uv: NDArray[np.float64], transform: dict[str, Any]) -> NDArray[np.float64]:
    """Return texture positions (n, 2) after a KHR_texture_transform: scaled, rotated, and then moved.

    The rotation is the one of the extension's own example, of three.js and of Khronos' viewer; the matrix in the
    extension's text rotates the other way.
    """
    if "scale" in transform:
        uv = uv * floats(transform, "scale", 2)
    if "rotation" in transform:
        angle = floats({"rotation": [transform["rotation"]]}, "rotation", 1)[0]
        cos, sin = np.cos(angle), np.sin(angle)
        uv = uv @ np.array([[cos, -sin], [sin, cos]])
    if "offset" in transform:
        uv = uv + floats(transform, "offset", 2)
    return np.nan_to_num(uv)


def _colours(gltf: Gltf, primitive: dict[str, Any], count: int) -> NDArray[np.uint8] | None:
    """Return the (n, 3) colours of a primitive's vertices, or None."""
    if "COLOR_0" not in primitive["attributes"]:
        return None
    colours = gltf.accessor(primitive["attributes"]["COLOR_0"])
    if len(colours) != count or colours.shape[1] not in (3, 4):
        raise DataError(f"COLOR_0 has shape {colours.shape}; expected three or four for each of {count:,} vertices")
    return rgb_uint8(colours)


def _factor(material: dict[str, Any]) -> tuple[int, ...]:
    """Return the base colour (RGB, 0 to 255) of a part without texture and vertex colours; white by default."""
    factor = material.get("baseColorFactor", [1.0, 1.0, 1.0])
    if not isinstance(factor, list) or len(factor) < 3 or not all(type(value) in (int, float) for value in factor):
        raise DataError(f"baseColorFactor is {short(factor)}; expected numbers from 0 to 1")
    return tuple(rgb_uint8(np.array([factor], dtype=np.float64))[0].tolist())
