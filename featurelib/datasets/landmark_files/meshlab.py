"""MeshLab's picked points (`.pp`): one XML file per mesh, in the axes and unit of the mesh file."""

from collections.abc import Sequence
from xml.etree import ElementTree

from featurelib.datasets.coordinates import Xyz
from featurelib.datasets.landmark_files.landmarks import NamedPoints, named_points
from featurelib.errors import DataError


def read_pp(content: bytes) -> NamedPoints:
    """Return the picked points; those of a template that were not picked are missing.

    Raises:
        DataError: if the file is not one of picked points.
    """
    try:
        root = ElementTree.fromstring(content)  # noqa: S314 (expat limits the expansion of entities)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise DataError(f"not a PickedPoints file of MeshLab ({error}); export the points again") from None
    if root.tag != "PickedPoints":
        raise DataError(f"<{root.tag[:40]}> is not a PickedPoints file of MeshLab; export the points again")
    picked = [point for point in root.iter("point") if point.get("active", "1") != "0"]
    others = [point for point in root.iter("point") if point.get("active", "1") == "0"]
    return named_points(
        [(point.get("name", ""), [point.get(axis) for axis in "xyz"]) for point in picked],
        missing=[(point.get("name", "").strip(), "was not picked; pick the point") for point in others],
    )


def pp(points: Sequence[tuple[str, Xyz | None]]) -> bytes:
    """Return a `.pp` file of labelled points, with all their digits; points without a position are not picked."""
    root = ElementTree.Element("PickedPoints")
    for label, xyz in points:
        cells = dict(zip("xyz", map(repr, xyz or (0.0, 0.0, 0.0)), strict=True))
        active = "0" if xyz is None else "1"
        ElementTree.SubElement(root, "point", {**cells, "active": active, "name": label})
    ElementTree.indent(root)
    return b"<!DOCTYPE PickedPoints>\n" + ElementTree.tostring(root)
