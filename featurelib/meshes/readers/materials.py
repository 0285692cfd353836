"""The colours of a GLB: base colour textures, vertex colours, and one base colour per part.

Source: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html, section 3.9; EXT_texture_webp and
KHR_materials_pbrSpecularGlossiness (https://github.com/KhronosGroup/glTF/tree/main/extensions).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError
from featurelib.meshes.limits import Limits
from featurelib.meshes.readers.gltf import Gltf, embedded, short
from featurelib.meshes.readers.polygons import rgb_uint8
from featurelib.meshes.readers.textures import decode, join_textures, refuse_large


class Appearance(NamedTuple):
    """Colours (n, 3) uint8, or uv (n, 2) with a texture (h, w, 3) uint8, or neither."""

    colours: NDArray[np.uint8] | None = None
    uv: NDArray[np.floating] | None = None
    texture: NDArray[np.uint8] | None = None


def appearance(gltf: Gltf, primitives: Sequence[dict[str, Any]], counts: Sequence[int], limits: Limits) -> Appearance:
    """Return the concatenated appearance of all primitives.

    Args:
        gltf: the file.
        primitives: of its JSON.
        counts: number of vertices of each.
        limits: for the pixels of all textures together.

    Raises:
        DataError: if a texture is too large, damaged or missing.
    """
    materials = [_material(gltf, primitive) for primitive in primitives]
    uvs = [_uv(gltf, *entry) for entry in zip(primitives, materials, counts, strict=True)]
    images = [None if uv is None else _image(gltf, material) for uv, material in zip(uvs, materials, strict=True)]
    factors = [_factor(material) for material in materials]
    used = sorted({index for index in images if index is not None})
    if used:
        contents = {index: _content(gltf, index) for index in used}
        refuse_large(list(contents.values()), limits)
        textures: dict[Any, NDArray[np.uint8]] = {index: decode(content) for index, content in contents.items()}
        keys = [factor if index is None else index for index, factor in zip(images, factors, strict=True)]
        plain = {factor: np.full((1, 1, 3), factor, np.uint8) for factor in factors}
        parts = [np.zeros((count, 2)) if uv is None else uv for uv, count in zip(uvs, counts, strict=True)]
        return Appearance(None, *join_textures(parts, [(plain | textures)[key] for key in keys], limits))
    colours = [_colours(gltf, *entry) for entry in zip(primitives, counts, strict=True)]
    if all(part is None for part in colours) and len(set(factors)) <= 1:
        return Appearance()
    filled = [
        np.full((count, 3), factor, np.uint8) if part is None else part
        for part, factor, count in zip(colours, factors, counts, strict=True)
    ]
    return Appearance(np.concatenate(filled))


def _material(gltf: Gltf, primitive: dict[str, Any]) -> dict[str, Any]:
    """Return the base colour entries of a primitive's material, with the names of pbrMetallicRoughness."""
    if "material" not in primitive:
        return {}
    material = gltf.entry("materials", primitive["material"])
    old = _object(_object(material, "extensions"), "KHR_materials_pbrSpecularGlossiness")
    renamed = {"baseColorTexture": old.get("diffuseTexture"), "baseColorFactor": old.get("diffuseFactor")}
    return {key: value for key, value in renamed.items() if value} | _object(material, "pbrMetallicRoughness")


def _uv(gltf: Gltf, primitive: dict[str, Any], material: dict[str, Any], count: int) -> NDArray[np.float64] | None:
    """Return the texture positions (n, 2), with (0, 0) at the bottom-left corner, or None."""
    texture = _object(material, "baseColorTexture")
    name = f"TEXCOORD_{short(texture.get('texCoord', 0))}"
    if not texture or name not in primitive["attributes"]:
        return None
    uv = gltf.accessor(primitive["attributes"][name])
    if uv.shape != (count, 2):
        raise DataError(f"{name} has shape {uv.shape}; expected two for each of {count:,} vertices")
    return np.nan_to_num(uv.astype(np.float64)) * (1, -1) + (0, 1)


def _image(gltf: Gltf, material: dict[str, Any]) -> int:
    """Return the index of the image of a base colour texture."""
    texture = gltf.entry("textures", material["baseColorTexture"].get("index"))
    webp = _object(_object(texture, "extensions"), "EXT_texture_webp")
    index: Any = webp.get("source", texture.get("source"))
    gltf.entry("images", index)
    return int(index)


def _content(gltf: Gltf, index: int) -> bytes:
    """Return the encoded bytes of an image."""
    image = gltf.entry("images", index)
    return embedded(image["uri"]) if "uri" in image else bytes(gltf.view(image.get("bufferView")))


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


def _object(entry: dict[str, Any], key: str) -> dict[str, Any]:
    """Return an object in a JSON object; empty if it is missing or not an object."""
    value = entry.get(key)
    return value if isinstance(value, dict) else {}
