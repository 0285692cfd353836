"""The field of view of a rendered dataset: how wide the images must be, from a sample of the objects."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.dataset import Dataset
from featurelib.errors import DataError
from featurelib.geometry import Rig, frame_needed_mm
from featurelib.meshes import read_mesh
from featurelib.runtime.sandbox import ProcessLostError, SandboxedProcess, SandboxLimits

Item = TypeVar("Item")

FRAME_SAMPLE = 64
"""Objects in the sample, evenly spread over the ids."""

FRAME_MARGIN = 1.15
"""Image width over the widest object of the sample. Of 1,000 heads the widest needs 1.03 (orthographic) and 1.04
(perspective) times what the widest of an evenly spread 67 needs; other objects may vary more."""

OUTLIER = 3.0
"""An object of the sample that needs more than this many times the median is ignored: its unit is probably wrong."""


def frame_sample(items: Sequence[Item]) -> Sequence[Item]:
    """Return the sample of items (objects with a mesh file, by id) from which the image width is estimated."""
    return items[:: max(1, len(items) // FRAME_SAMPLE)]


def estimate_frame_mm(needed_mm: Sequence[float]) -> float:
    """Return an image width in mm for objects like these, with FRAME_MARGIN, rounded up to 3 digits.

    Args:
        needed_mm: the width that each object of a sample needs (frame_needed_mm).
    """
    needed = np.asarray(needed_mm)
    widest = needed[needed <= OUTLIER * np.median(needed)].max() * FRAME_MARGIN
    step = 10.0 ** (math.floor(math.log10(widest)) - 2)
    return float(round(math.ceil(widest / step) * step, 9))


@dataclass(frozen=True)
class FrameJob:
    """A mesh file, its (4, 4) object_from_source, and the rig and projections that it is to be rendered in."""

    mesh_uri: str
    object_from_source: NDArray[np.float64]
    rig: Rig
    projections: tuple[str, ...]


def needed_frames_mm(job: FrameJob) -> dict[str, float] | None:
    """Return the image width in mm that an object needs, by projection; None if its file is bad."""
    try:
        mesh = read_mesh(job.mesh_uri, job.object_from_source)
    except DataError:
        return None
    return {p: frame_needed_mm(mesh.vertices_mm, mesh.centre_mm, job.rig, p) for p in job.projections}


def estimate_frames_mm(
    dataset: Dataset, rig: Rig, projections: Sequence[str], limits: SandboxLimits
) -> dict[str, float]:
    """Return the image width in mm for a dataset, by projection, from a sample of its meshes.

    Bad meshes of the sample are ignored: the rendering rejects them with a reason.

    Raises:
        DataError: if no mesh of the sample can be read.
    """
    if not projections:
        return {}
    jobs = [
        FrameJob(
            dataset.mesh_uri(file.name), dataset.object_from_source_of(file.rotation_wxyz), rig, tuple(projections)
        )
        for file in frame_sample([*dataset.files.values()])
    ]
    with SandboxedProcess(limits, preload=["featurelib.datasets.shards.warm"]) as process:
        found = [needed for needed in process.map(needed_frames_mm, jobs) if not isinstance(needed, ProcessLostError)]
    needed_mm = [needed for needed in found if needed]
    if not needed_mm:
        raise DataError(
            f"{dataset.uri}: no mesh of the sample can be read, so the image width is unknown; set --frame-mm"
        )
    return {projection: estimate_frame_mm([needed[projection] for needed in needed_mm]) for projection in projections}
