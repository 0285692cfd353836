"""The labels of a dataset that are probably mistakes, from the measurements of its objects."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import LandmarkSet
from featurelib.labelling.closeups import FEWEST_OBJECTS, predicted_mm
from featurelib.labelling.suspects import Suspect, suspects
from featurelib.meshes.pose_search import ReferenceShape
from featurelib.validation.dataset.measure import Labelled, Measurement

FEWEST = 24
"""With fewer labelled objects none is named: of 12 bodies with right labels one was."""


def label_suspects(
    landmarks: LandmarkSet, rows: Sequence[tuple[Measurement, Labelled]], reference: ReferenceShape | None
) -> list[Suspect]:
    """Return the suspicious labels of measured objects, worst first; see `featurelib.labelling.suspects`.

    Args:
        landmarks: the set.
        rows: the objects with labels, without those in other axes.
        reference: the shape that was registered to them.
    """
    if len(rows) < FEWEST:
        return []
    labels_mm = np.array([labels.landmarks_mm for _, labels in rows])
    unknown = np.full_like(labels_mm[0], np.nan)
    fits = [row.fit.landmarks if row.fit is not None and row.fit.landmarks is not None else unknown for row, _ in rows]
    placed_mm = None if reference is None else np.array(fits) * reference.size_mm
    return suspects(
        landmarks,
        [row.object_id for row, _ in rows],
        labels_mm,
        _predicted_mm(landmarks, labels_mm, [row for row, _ in rows]),
        placed_mm=placed_mm,
        off_mm=np.array([labels.off_mm for _, labels in rows]),
    )


def _predicted_mm(
    landmarks: LandmarkSet, labels_mm: NDArray[np.float64], rows: Sequence[Measurement]
) -> NDArray[np.float64] | None:
    """Return the landmarks (n, k, 3) that close-ups give; NaN without one, and None with too few of them."""
    seen = [(i, row.close_ups) for i, row in enumerate(rows) if row.close_ups is not None]
    if len(seen) < FEWEST_OBJECTS:
        return None
    chosen = [i for i, _ in seen]
    images, axes_mm = (np.array(values) for values in zip(*(each for _, each in seen), strict=True))
    found_mm = np.full_like(labels_mm, np.nan)
    found_mm[chosen] = predicted_mm(landmarks, labels_mm[chosen], images, axes_mm)
    return found_mm
