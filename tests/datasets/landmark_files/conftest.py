"""Landmark files as other programs write them."""

import json
from collections.abc import Callable

import pytest

from featurelib.datasets.landmark_files.importing import Imported, import_landmarks
from featurelib.datasets.landmark_files.selection import Reading

LEFT, RIGHT = (1.5, 2.0, 3.0), (-1.0, 2.5, 3.5)


def markups(*points: tuple, kind: str = "Fiducial", space: str = "LPS") -> str:
    """A markups file of Slicer; a point has a label, a position and perhaps further entries."""
    controls = [
        {"label": label, "position": position, "positionStatus": "defined", **(more[0] if more else {})}
        for label, position, *more in points
    ]
    return json.dumps({"markups": [{"type": kind, "coordinateSystem": space, "controlPoints": controls}]})


def fcsv(*points: tuple, head: str = "# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n") -> str:
    """A fiducial file of Slicer 4 and 5."""
    columns = "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
    return head + columns + "".join(f"{k},{x},{y},{z},0,0,0,1,1,1,0,{n},,\n" for k, (n, (x, y, z)) in enumerate(points))


@pytest.fixture
def imported() -> Callable[..., Imported]:
    """Import files by name, for objects and with options of Reading."""

    def run(files: dict, object_ids=("P01", "P02", "P03"), **options) -> Imported:
        contents = [(name, text if isinstance(text, bytes) else text.encode()) for name, text in files.items()]
        return import_landmarks(contents, object_ids, Reading(**{"landmark": "tragus", **options}), lambda _: "LPS")

    return run
