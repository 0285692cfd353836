"""TPS files (`.tps`) of F. J. Rohlf's programs and of geomorph: any number of specimens, points without names.

`LM3=n` and n lines `x y z` begin a specimen; `ID=`, `IMAGE=`, `SCALE=` and others follow. Coordinates are multiplied by
the scale. Missing values are NA; only with `negNA = TRUE` does geomorph take negative numbers for missing ones. The
names of the points are in a COMMENT, which geomorph skips. Sources: "readland.tps" and "writeland.tps" in the manual of
the R package geomorph, https://cran.r-project.org/package=geomorph.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from featurelib.datasets.coordinates import Xyz
from featurelib.datasets.decoding import decode
from featurelib.datasets.landmark_files.landmarks import (
    NamedPoints,
    PointFile,
    listed_points,
    names_in,
    names_text,
    point_line,
)
from featurelib.errors import DataError

EXPECTED = "expected LM3=<number of points>, lines 'x y z', and ID=<object_id>"


class Specimen(NamedTuple):
    """One specimen: values by keyword in upper case, and the cells of the lines after LM= or LM3=."""

    values: dict[str, str]
    rows: list[list[str]]


def read_tps(content: bytes) -> PointFile:
    """Return the points by object: the ID, or the IMAGE if there is no ID or if it is a number.

    Raises:
        DataError: if the file has another form.
    """
    text, notes = decode(content)
    specimens = [*_specimens(text.splitlines())]
    if not specimens:
        raise DataError(f"{text[:40].strip()!r}; {EXPECTED}")
    names = [_name(specimen.values) for specimen in specimens]
    if len(specimens) > 1 and None in names:
        raise DataError(f"specimen {names.index(None) + 1} of {len(specimens)} has no name; {EXPECTED}")
    return PointFile(
        tuple((name, _points(s, k)) for k, (name, s) in enumerate(zip(names, specimens, strict=True), 1)), notes
    )


def _specimens(lines: Sequence[str]) -> Iterator[Specimen]:
    """Yield the specimens; points of curves and outlines follow other keywords and are left out."""
    values: dict[str, str] | None = None
    rows: list[list[str]] = []
    keyword = ""
    for line in lines:
        name, equals, value = line.partition("=")
        if equals:
            keyword = name.strip().upper()
            if keyword in ("LM", "LM3"):
                if values is not None:
                    yield Specimen(values, rows)
                values, rows = {}, []
            if values is not None:
                values.setdefault(keyword, value.strip())
        elif line.strip() and keyword in ("LM", "LM3"):
            rows.append(line.split())
    if values is not None:
        yield Specimen(values, rows)


def _name(values: dict[str, str]) -> str | None:
    """Return the specimen's name; tpsDig numbers the specimens by ID and names the file by IMAGE."""
    name, image = values.get("ID", ""), values.get("IMAGE", "")
    stem = image.replace("\\", "/").rpartition("/")[2].rpartition(".")[0] or image
    return (stem if stem and (not name or name.isdigit()) else name) or None


def _points(specimen: Specimen, number: int) -> NamedPoints:
    try:
        names = names_in(specimen.values.get("COMMENT", ""))
        return listed_points(specimen.rows, names, place=f"specimen {number}").scaled(_scale(specimen))
    except DataError as error:
        return NamedPoints((), place=f"specimen {number}", fault=str(error))


def _scale(specimen: Specimen) -> float:
    """Return the factor of a specimen's coordinates.

    Raises:
        DataError: if it is not a positive number, or if the specimen has 2D points or not all of its points.
    """
    values, rows = specimen
    if any(len(row) == 2 for row in rows):
        raise DataError("2D points; expected LM3= and lines 'x y z'")
    count = values.get("LM3", values.get("LM", ""))
    if count != str(len(rows)):
        raise DataError(f"{len(rows)} points of {count or 'no number'}; the file is cut off or edited, export it again")
    try:
        scale = float(values.get("SCALE", "1").replace(",", "."))
    except ValueError:
        scale = math.nan
    if not 0 < scale < math.inf:
        raise DataError(f"SCALE={values['SCALE'][:40]}; expected a positive number")
    return scale


def tps(names: Sequence[str], objects: Mapping[str, Sequence[Xyz | None]]) -> bytes:
    """Return a file of points by object, with all their digits; points without a position are NA."""
    lines: list[str] = []
    for object_id, points in objects.items():
        lines += [f"LM3={len(names)}", *map(point_line, points), f"ID={object_id}", f"COMMENT={names_text(names)}", ""]
    return "\n".join(lines).encode()
