"""Parts of a local dataset as datasets of their own, which share its meshes."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from featurelib.datasets.dataset import Dataset
from featurelib.datasets.dataset_json import set_values
from featurelib.datasets.landmark_table import write_landmarks
from featurelib.datasets.objects_table import write_objects
from featurelib.geometry import LandmarkSet


def write_subset(dataset: Dataset, rows: Iterable[Mapping[str, Any]], landmarks: LandmarkSet, folder: Path) -> None:
    """Write a dataset with some objects and landmarks of another; its meshes are a link.

    Args:
        dataset: in a local folder.
        rows: of its objects, with the splits that are written.
        landmarks: some of its set, or all.
        folder: created if it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = Path(dataset.uri)
    settings = json.loads((source / "dataset.json").read_text())
    settings = {key: value for key, value in settings.items() if key not in ("landmark", "landmarks", "mirror")}
    (folder / "dataset.json").write_text(json.dumps(settings | set_values(landmarks)))
    if (source / "alignment.csv").exists():
        (folder / "alignment.csv").write_bytes((source / "alignment.csv").read_bytes())
    chosen = sorted(rows, key=lambda row: str(row["object_id"]))
    kept = [dataset.landmarks.index[name] for name in landmarks.names]
    points = {row["object_id"]: np.reshape(row["landmarks"], (-1, 3))[kept] for row in chosen}
    absent = {row["object_id"]: np.array(row["absent"])[kept] for row in chosen}
    (folder / "landmarks.csv").write_bytes(write_landmarks(landmarks, points, absent))
    extras = {row["object_id"]: (row["group"], row["split"]) for row in chosen}
    (folder / "objects.csv").write_bytes(write_objects(extras))
    if not (folder / "meshes").exists():
        (folder / "meshes").symlink_to(source / "meshes")
