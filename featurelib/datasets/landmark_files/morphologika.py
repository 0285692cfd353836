"""Morphologika files (`.txt`, `.morphologika`): several specimens, points without names.

Sections in square brackets: `[individuals]`, `[landmarks]` and `[dimensions]` are numbers, `[names]` has one name per
specimen, and `[rawpoints]` one line per point; lines of it that begin with an apostrophe are comments. Other sections,
such as `[labels]` and `[wireframe]`, have no points. Source: "read.morphologika" in the manual of the R package
geomorph, https://cran.r-project.org/package=geomorph.
"""

from collections.abc import Mapping

from featurelib.datasets.decoding import decode
from featurelib.datasets.landmark_files.landmarks import PointFile, numbered_points
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
    specimens = [numbered_points(rows[k * num_points : (k + 1) * num_points]) for k in range(num_objects)]
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
