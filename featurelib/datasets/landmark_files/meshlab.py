"""MeshLab's picked points (`.pp`): one XML file per mesh, in the axes and unit of the mesh file."""

from collections.abc import Sequence
from xml.etree import ElementTree

from featurelib.datasets.landmark_files.landmarks import NamedPoints, Xyz
from featurelib.errors import DataError


def read_pp(content: bytes) -> NamedPoints:
    """Return the picked points; points of a template that were not picked are left out.

    Raises:
        DataError: if the file is not one of picked points.
    """
    try:
        root = ElementTree.fromstring(content)  # noqa: S314 (expat limits the expansion of entities)
        found = [point for point in root.iter("point") if point.get("active", "1") != "0"]
        return NamedPoints(tuple((point.get("name", ""), _position(point)) for point in found))
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise DataError(f"not a PickedPoints file of MeshLab ({error}); export the points again") from None


def pp(points: Sequence[tuple[str, Xyz]]) -> bytes:
    """Return a `.pp` file of labelled points, with all their digits."""
    root = ElementTree.Element("PickedPoints")
    for label, (x, y, z) in points:
        ElementTree.SubElement(root, "point", {"x": repr(x), "y": repr(y), "z": repr(z), "active": "1", "name": label})
    ElementTree.indent(root)
    return b"<!DOCTYPE PickedPoints>\n" + ElementTree.tostring(root)


def _position(point: ElementTree.Element) -> Xyz:
    return float(point.attrib["x"]), float(point.attrib["y"]), float(point.attrib["z"])
