import gzip
import tracemalloc

import numpy as np
import pytest

from featurelib.errors import DataError
from featurelib.meshes import MESH_SUFFIXES, Limits, load_mesh
from featurelib.meshes.readers.gzipped import beginning

PACKED = [suffix for suffix in MESH_SUFFIXES if suffix.endswith(".gz")]


def _load(data: bytes, kind: str, **limits):
    return load_mesh(data, kind, np.eye(4), name="a", limits=Limits(**limits))


@pytest.mark.parametrize("suffix", PACKED)
def test_a_packed_file_is_the_file(suffix, ellipsoid, exported):
    """The mesh has the same bytes; several members are one file."""
    plain = exported(ellipsoid, suffix.removesuffix(".gz"))
    expected = _load(plain, suffix.removesuffix(".gz"))

    for data in (gzip.compress(plain), gzip.compress(plain[:999]) + gzip.compress(plain[999:])):
        mesh = _load(data, suffix.upper())
        assert mesh.vertices_mm.tobytes() == expected.vertices_mm.tobytes()
        assert mesh.faces.tobytes() == expected.faces.tobytes()


def test_a_bomb_takes_no_more_memory_than_the_limit():
    """A file of 100 kB that would unpack to 100 MB is rejected at the limit."""
    data = gzip.compress(bytes(100_000_000))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"a: unpacks to more than 1,000,000 bytes; expected at most that \(simplify"):
        _load(data, ".ply.gz", max_file_bytes=1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 5e6


def test_what_is_not_gzip_or_not_complete_is_rejected(ellipsoid, exported):
    """The message has the reason, and its advice is right."""
    plain = exported(ellipsoid, "ply")
    packed = gzip.compress(plain)
    for data, reason in (
        (plain, r"begins with 'ply.*'; expected a gzip file \(rename it without .gz\)"),
        (packed[:-9], r"the rest is missing \(the file is cut off\)"),
        (packed[:99] + bytes(20) + packed[119:], r"cannot be unpacked \(.*; the file is damaged\)"),
        (gzip.compress(exported(ellipsoid, "stl")), r"is an STL file, not a PLY; rename it to end in .stl.gz"),
        (gzip.compress(packed), r"is a gzip archive, not a PLY"),
    ):
        with pytest.raises(DataError, match=rf"\Aa: .*{reason}"):
            _load(data, ".ply.gz")


def test_the_beginning_is_that_of_the_unpacked_file():
    """Of a packed file, a plain one, and a damaged one."""
    assert beginning(gzip.compress(b"solid" * 100_000), 7) == b"solidso"
    assert beginning(b"solid", 7) == b"solid"
    assert beginning(b"\x1f\x8b???????????????", 7) == b""
