import gzip
import io
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from featurelib.errors import DataError
from featurelib.meshes import MESH_SUFFIXES, load_mesh
from featurelib.meshes.readers.sniffing import mesh_suffix_of

PLAIN = tuple(suffix for suffix in MESH_SUFFIXES if not suffix.endswith(".gz"))
KINDS = (*PLAIN, ".ply_ascii", ".stl_ascii")


def _zip(size: int) -> bytes:
    """Return a ZIP of zeros, which has a thousandth of their size."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.ply", bytes(size))
    return file.getvalue()


def _png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (2, 2)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", PLAIN)
def test_the_message_for_a_wrong_ending_has_the_right_one(kind, suffix, ellipsoid, exported):
    """Every type is read with its own ending, and rejected with another one, with the right ending in the message."""
    data, right = exported(ellipsoid, kind), kind.removesuffix("_ascii")
    assert mesh_suffix_of(data) == right

    if suffix == right:
        assert len(load_mesh(data, suffix, np.eye(4), name="a").faces) == 320
    else:
        with pytest.raises(
            DataError, match=rf"\Aa: is an? {right[1:].upper()} file, not an? .*; rename it .*{right}\Z"
        ):
            load_mesh(data, suffix, np.eye(4), name="a")


def test_the_message_is_a_sentence(ellipsoid, exported):
    """The message for a wrong ending is a complete sentence with its fix."""
    with pytest.raises(DataError) as error:
        load_mesh(exported(ellipsoid, "stl"), "ply", np.eye(4), name="meshes/b7.ply")

    assert str(error.value) == "meshes/b7.ply: is an STL file, not a PLY; rename it to end in .stl"


@pytest.mark.parametrize("header", [b"solid by a scanner", b"PK\3\4", b"ply\nformat ascii 1.0\n", b"OFF"])
def test_a_binary_stl_may_begin_with_anything(header, ellipsoid, exported):
    """Its first 80 bytes are free, also to be "solid"; the size identifies the type."""
    data = header.ljust(80, b" ") + exported(ellipsoid, "stl")[80:]

    assert len(load_mesh(data, "stl", np.eye(4), name="a").faces) == 320


def test_a_truncated_binary_stl_that_begins_with_solid_is_not_read_as_text(ellipsoid, exported):
    """The message has the number of faces of the header."""
    data = b"solid".ljust(80, b"\0") + exported(ellipsoid, "stl")[80:-1]

    with pytest.raises(DataError, match=r"\Aa: 16,083 bytes; the 320 faces of its header take 16,084 .*cut off"):
        load_mesh(data, "stl", np.eye(4), name="a")


@pytest.mark.parametrize("suffix", PLAIN)
@pytest.mark.parametrize(
    ("data", "what"),
    [
        (_zip(30_000_000), "a ZIP archive"),
        (gzip.compress(bytes(30_000_000)), "a gzip archive"),
        (_png(), "a PNG image"),
        (b"\xff\xd8\xff\xe0" + bytes(99), "a JPEG image"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\n<!DOCTYPE html>\n<html>404</html>", "an HTML page"),
        (b"<html><body>", "an HTML page"),
        (b'{"@schema": "https://example.org"}', "JSON"),
        (b"<?xml version='1.0'?><COLLADA>", "XML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "a Git LFS pointer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_content_is_identified_and_never_unpacked(suffix, data, what):
    """Archives, images and pages with a mesh's ending are identified by their first bytes; the message has a fix."""
    with pytest.raises(DataError, match=rf"\Aa: is {what}, not an? {suffix[1:].upper()}; \w+"):
        load_mesh(data, suffix, np.eye(4), name="a")


def test_identifying_a_type_takes_no_time():
    """No pattern backtracks over text that almost matches."""
    for piece in (b"#\n \n", b" \n", b"g\n", b"solid facet ", b"o \t\n# \n"):
        assert mesh_suffix_of(piece * 4096) is None
    assert mesh_suffix_of(struct.pack("<80xI", 0)) is None
