"""Points of IDAV Landmark Editor (`.pts`), in the axes and unit of the mesh file.

A line `Version S1.0`, the number of points, and `S000 x y z` for each point; lines of curves are
`C000 x y z`. A point that was not placed has 9999 in all coordinates. Source: "read.pts" in the manual of the R package
Morpho, https://cran.r-project.org/package=Morpho.
"""

import re

from featurelib.datasets.decoding import decode
from featurelib.datasets.landmark_files.landmarks import PointFile, named_points
from featurelib.errors import DataError

EXPECTED = "expected 'Version S1.0', the number of points, and lines 'S000 x y z', as of IDAV Landmark Editor"


def read_pts(content: bytes) -> PointFile:
    """Return the points; the labels are their names in the file.

    Raises:
        DataError: if the file has another form, or fewer points than it announces.
    """
    text, notes = decode(content)
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) < 2 or lines[0][0].lower() != "version" or not lines[1][0].isdigit():
        raise DataError(f"{text[:40].strip()!r}; {EXPECTED}")
    rows = [cells for cells in lines[2:] if not re.fullmatch(r"C\d+", cells[0], re.IGNORECASE)]
    if len(lines) - 2 < int(lines[1][0][:9]):
        raise DataError(f"{len(lines) - 2} of {lines[1][0]} points; the file is cut off, export it again")
    is_named = not all(name[1:].isdigit() for name, *_ in rows)
    points = named_points([(name, xyz) for name, *xyz in rows], decimal_commas=True, is_named=is_named)
    return PointFile(((None, points),), notes)
