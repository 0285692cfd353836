import base64
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import trimesh

from featurelib.errors import DataError
from featurelib.meshes import Limits, load_mesh
from featurelib.meshes.readers.vtp import field_text

POINTS = np.array([[0, 0, 0], [4, 0, 0], [4, 3, 0], [0, 3, 0]], "<f4")


def _array(values, kind: str, name: str, components: int = 1) -> str:
    text = " ".join(map(str, np.asarray(values).ravel().tolist()))
    return f'<DataArray type="{kind}" Name="{name}" NumberOfComponents="{components}" format="ascii">{text}</DataArray>'


def _piece(points=POINTS, cells="", more: str = "", num_polys: int = 1) -> str:
    array = points if isinstance(points, str) else _array(points, "Float32", "Points", 3)
    cells = cells or _array([0, 1, 2, 3], "Int32", "connectivity") + _array([4], "Int32", "offsets")
    counts = f'NumberOfPoints="4" NumberOfPolys="{num_polys}"'
    return f"<Piece {counts}><Points>{array}</Points><Polys>{cells}</Polys>{more}</Piece>"


def _file(*pieces: str, root: str = "", appended: bytes = b"", before: str = "") -> bytes:
    first = before or '<?xml version="1.0"?>'
    text = f'{first}<VTKFile type="PolyData" {root}><PolyData>{"".join(pieces)}</PolyData>'
    return text.encode() + appended + b"</VTKFile>"


def _load(data: bytes, **limits):
    return load_mesh(data, "vtp", np.eye(4), name="a.vtp", limits=Limits(**limits))


def _area(mesh) -> float:
    return trimesh.Trimesh(mesh.vertices_mm, mesh.faces, process=False).area


def test_pieces_are_joined():
    """Each piece counts its points from 0; polygons and strips are both read, points and lines are not."""
    strips = f"<Strips>{_array([0, 1, 3, 2], 'Int64', 'connectivity')}{_array([4], 'Int64', 'offsets')}</Strips>"
    other = _piece(POINTS + np.array([10, 0, 0])).replace("NumberOfPolys", 'NumberOfVerts="2" NumberOfPolys')
    third = _piece(POINTS + np.array([20, 0, 0]), more=strips).replace('NumberOfPolys="1"', 'NumberOfStrips="1"')
    empty = '<Piece NumberOfPoints="0" NumberOfPolys="0"></Piece>'

    mesh = _load(_file(_piece(), empty, other, third))

    assert _area(mesh) == pytest.approx(36)
    assert mesh.bounds_mm.tolist() == [[0, 0, 0], [24, 3, 0]]
    assert mesh.normals[:, 2].min() == 1
    assert mesh.notes == ("left out 2 cells of points or lines",)


def test_colours_are_bytes_of_points():
    """The first array of bytes with three or four components, if every piece has one."""
    colours = np.arange(16).reshape(4, 4) * 15
    data = (
        "<PointData>"
        + _array(np.ones((4, 3)), "Float32", "Normals", 3)
        + _array(colours, "UInt8", "c", 4)
        + "</PointData>"
    )

    assert _load(_file(_piece(more=data))).colours.tolist() == colours[:, :3].tolist()
    assert _load(_file(_piece(more=data), _piece())).colours is None


def _block(content: bytes, *, blocks: int = 1) -> bytes:
    """Return content in zlib blocks with their header."""
    size = -(-len(content) // blocks)
    parts = [zlib.compress(content[k : k + size]) for k in range(0, len(content), size)]
    header = struct.pack(f"<{3 + len(parts)}I", len(parts), size, len(content) % size, *map(len, parts))
    return header, b"".join(parts)


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("is_one_base64", [True, False])
def test_blocks_may_be_one_base64_or_two(blocks, is_one_base64):
    """The header is padded by itself, or encoded together with its blocks."""
    points = np.zeros((100, 3), "<f4")
    points[:4] = POINTS
    header, body = _block(points.tobytes(), blocks=blocks)
    text = base64.b64encode(header + body) if is_one_base64 else base64.b64encode(header) + base64.b64encode(body)
    array = f'<DataArray type="Float32" NumberOfComponents="3" format="binary">\n  {text.decode()}\n</DataArray>'
    piece = _piece(array).replace('NumberOfPoints="4"', 'NumberOfPoints="100"')

    assert _area(_load(_file(piece, root='compressor="vtkZLibDataCompressor"'))) == pytest.approx(12)


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("is_raw", [True, False])
def test_appended_data_may_contain_anything(is_raw, quote):
    """Raw bytes that look like XML are data."""
    content = np.array([[0, 0, 0], [4, 0, 0], [4, 3, 0], [0, 3, 0]], ">f8").tobytes()
    tail = struct.pack(">Q", 99) + b"</AppendedData><!DOCTYPE x>"
    block = struct.pack(">Q", len(content)) + content
    encoded = block + tail if is_raw else base64.b64encode(block) + base64.b64encode(tail)
    kind = "raw" if is_raw else "base64"
    appended = f"<AppendedData encoding={quote}{kind}{quote}>\n  _".encode() + encoded + b"\n</AppendedData>"
    array = '<DataArray type="Float64" NumberOfComponents="3" format="appended" offset="0"/>'
    root = 'byte_order="BigEndian" header_type="UInt64"'

    assert _area(_load(_file(_piece(array), root=root, appended=appended))) == pytest.approx(12)


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;&b;">]>'
BINARY = '<DataArray type="Float32" NumberOfComponents="3" format="binary">{}</DataArray>'
ZLIB = 'compressor="vtkZLibDataCompressor"'


def _base64(*numbers: int, content: bytes = b"") -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}I", *numbers) + content).decode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_file(_piece(), before=BOMB), "has a document type, which is never read; export it again"),
        (_file(_piece(), before='<!DOCTYPE a SYSTEM "file:///etc/passwd">'), "has a document type"),
        (_file(_piece())[:-30], r"its XML cannot be read \(.*; the file is cut off or damaged\)"),
        (
            _file(_piece(), root='compressor="vtkLZ4DataCompressor"'),
            "is compressed by 'vtkLZ4DataCompressor', which is",
        ),
        (_file(_piece(), root='header_type="UInt16"'), "header_type 'UInt16'; expected UInt32 or UInt64"),
        (
            _file(_piece()).replace(b'"PolyData"', b'"ImageData"'),
            "is XML of 'ImageData'; expected a VTKFile of PolyData",
        ),
        (_file(_piece(POINTS[:3])), r"an array has 9 numbers; expected 12 \(the file is cut off or damaged\)"),
        (_file(_piece("")), "no array in Points; expected one"),
        (_file(_piece(cells=_array([4], "Int8", "offsets"))), "no array connectivity in Polys; expected one"),
        (
            _file(_piece(cells=_array([0, 1, 2, 4], "Int8", "connectivity") + _array([4], "Int8", "offsets"))),
            "a point that its",
        ),
        (_file(_piece(num_polys=0)), "no faces"),
        (_file(_piece(num_polys=-1)), "NumberOfPolys is '-1'; expected an integer"),
        (
            _file(_piece().replace('Points="4"', 'Points="99999999"')),
            "99,999,999 vertices; expected at most 30,000,000",
        ),
        (_file(_piece(BINARY.format("*"))), "an array is not base64"),
        (_file(_piece(BINARY.format(_base64(40)))), "an array has 40 bytes; expected 48"),
        (_file(_piece(BINARY.format(_base64(48)))), "an array has 0 bytes; expected 48"),
        (
            _file(_piece(BINARY.format(_base64(1, 48, 0, 9, content=b"x" * 9))), root=ZLIB),
            "compressed data cannot be read",
        ),
        (_file(_piece(BINARY.format(_base64(2**31, 48, 0))), root=ZLIB), "expected 48"),
        (_file(_piece(BINARY.format(_base64(48, 1, 0))), root=ZLIB), "expected 48"),
        (_file(_piece(BINARY.replace("binary", "appended").format(""))), "expected the offset of appended data"),
        (_file(_piece(BINARY.replace("Float32", "Real").format(""))), "an array of the type 'Real'"),
    ],
)
def test_data_that_are_missing_are_named(data, reason):
    """A file that is cut off, damaged or hostile is rejected with the wrong value."""
    with pytest.raises(DataError, match=rf"\Aa.vtp: .*{reason}"):
        _load(data)


def test_a_bomb_takes_no_memory():
    """A block that would decompress to 100 MB is read up to the announced bytes."""
    bomb = zlib.compress(bytes(100_000_000))
    text = _base64(1, 48, 0, len(bomb)) + base64.b64encode(bomb).decode()
    data = _file(_piece(BINARY.format(text)), root=ZLIB)
    tracemalloc.start()
    with pytest.raises(DataError):
        _load(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 5e6


def test_many_or_deep_elements_are_rejected():
    """The XML cannot take more memory than a mesh."""
    with pytest.raises(DataError, match="nested deeper than 20"):
        _load(_file("<a>" * 100))
    assert _load(_file(_piece(more="<a/>" * 1000))).faces.shape == (2, 3)


@pytest.mark.parametrize(
    "array",
    [
        '<Array type="String" Name="SPACE" format="ascii">76 80 83 0</Array>',
        '<DataArray type="String" Name="SPACE" format="binary">BAAAAExQUwA=</DataArray>',
    ],
)
def test_the_text_of_a_field_is_read(array):
    """Slicer names the axes of a mesh in such a field; arrays of pieces and damaged ones are none."""
    fields = f"<FieldData>{array}</FieldData>"

    assert field_text(_file(fields, _piece()), "SPACE") == "LPS"
    assert field_text(_file(fields, _piece()), "OTHER") == ""
    assert field_text(_file(_piece(more=fields)), "SPACE") == ""
    assert field_text(_file(fields.replace("BAAAA", "BAAAB")), "SPACE") in ("", "LPS")
    assert field_text(b"<VTKFile", "SPACE") == ""
