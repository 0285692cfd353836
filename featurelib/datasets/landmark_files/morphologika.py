"""Morphologika files (`.txt`, `.morphologika`): several specimens, points without names.

Sections in square brackets: `[individuals]`, `[landmarks]` and `[dimensions]` are numbers, `[names]` has one name per
specimen, and `[rawpoints]` one line per point; lines of it that begin with an apostrophe are comments. Other sections,
such as `[labels]` and `[wireframe]`, have no points; a line of `[wireframe]` has the numbers of two points that are
joined. Source: "read.morphologika" in the manual of the R package geomorph,
https://cran.r-project.org/package=geomorph. `[labels]` has variables of the specimens, so the names of the points are
in a comment after the last point.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from featurelib.datasets.coordinates import Xyz
from featurelib.datasets.decoding import decode
from featurelib.datasets.landmark_files.landmarks import (
    PointFile,
    listed_points,
    names_in,
    names_text,
    point_line,
)
from featurelib.errors import DataError

SECTION = b"[rawpoints]"


def is_morphologika(content: bytes) -> bool:
    """Return whether a text file is of this format."""
    return SECTION in content.replace(b"\0", b"").lower()


def read_morphologika(content: bytes) -> PointFile:
    """Return the points by object; the object is None for one specimen without a name.

    Raises:
        DataError: if the numbers of specimens, points, dimensions and lines do not agree.
    """
    text, notes = decode(content)
    sections = _sections(text)
    num_objects, num_points, dimensions = (_count(sections, n) for n in ("individuals", "landmarks", "dimensions"))
    rows = [line.split() for line in sections.get("rawpoints", ()) if not line.startswith("'")]
    comments = (line[1:] for line in sections.get("rawpoints", ()) if line.startswith("'"))
    points = next((found for line in comments if (found := names_in(line))), None)
    names = sections.get("names", [])
    named: list[str | None] = [*names] or [None]
    if dimensions != 3:
        raise DataError(f"[dimensions] is {dimensions}; expected 3")
    if len(rows) != num_objects * num_points:
        raise DataError(
            f"[rawpoints] has {len(rows)} points; expected {num_objects} times {num_points}, export it again"
        )
    if len(names) != num_objects and (names or num_objects > 1):
        raise DataError(f"[names] has {len(names)} names of {num_objects} specimens; add the missing names")
    specimens = [listed_points(rows[k * num_points : (k + 1) * num_points], points) for k in range(num_objects)]
    return PointFile(tuple(zip(named, specimens, strict=True)), notes)


def _sections(text: str) -> Mapping[str, list[str]]:
    """Return the lines of each section by its name in lower case."""
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            lines = sections.setdefault(line[1:-1].strip().lower(), [])
        elif line:
            lines.append(line)
    return sections


def _count(sections: Mapping[str, list[str]], name: str) -> int:
    value = " ".join(sections.get(name, []))
    if not value.isdigit() or not value.isascii() or len(value) > 9 or int(value) == 0:
        raise DataError(f"[{name}] is {value[:40]!r}; expected a number")
    return int(value)


def morphologika(
    names: Sequence[str], objects: Mapping[str, Sequence[Xyz | None]], outlines: Sequence[Sequence[str]] = ()
) -> bytes:
    """Return a file of points by object, with all their digits; points without a position are NA.

    The wireframe has the outlines, lines through points by their names.
    """
    number = {name: k for k, name in enumerate(names, 1)}
    lines = ["[individuals]", str(len(objects)), "[landmarks]", str(len(names)), "[dimensions]", "3"]
    lines += ["[names]", *objects]
    joined = [f"{number[one]} {number[other]}" for outline in outlines for one, other in pairwise(outline)]
    lines += ["[wireframe]", *joined] if joined else []
    lines.append("[rawpoints]")
    for object_id, points in objects.items():
        lines += [f"'{object_id}", *map(point_line, points)]
    return "\n".join([*lines, f"'{names_text(names)}", ""]).encode()
