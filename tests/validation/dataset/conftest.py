"""Small datasets of synthetic busts: a clean one, and copies of it that a test corrupts."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.landmark_table import COORDINATES
from featurelib.datasets.synthetic import make_body
from featurelib.geometry import apply
from featurelib.meshes.reference import REFERENCE_SAMPLE
from featurelib.runtime.storage import list_files
from featurelib.validation.dataset.measure import (
    MeasureJob,
    Measurement,
    ReferenceJob,
    Unread,
    measure,
    measure_reference,
)
from featurelib.validation.dataset.survey import Survey

COUNT = 44

SPLITS = ["train", "train", "val", "test"]


@dataclass
class DatasetEditor:
    """A dataset on disk that can be changed; `save` writes the labels."""

    folder: Path

    def __post_init__(self):
        with (self.folder / "landmarks.csv").open(newline="") as file:
            self.rows = {row["object_id"]: row for row in csv.DictReader(file)}
        self.more_rows = []

    def path(self, name: str) -> Path:
        return self.folder / "meshes" / f"{name}.ply"

    def mesh(self, name: str) -> trimesh.Trimesh:
        return trimesh.load(self.path(name), process=False)

    def write(self, name: str, vertices, faces) -> None:
        trimesh.Trimesh(vertices, faces, process=False).export(self.path(name))

    def pair(self, name: str) -> np.ndarray:
        row = self.rows[name]
        return np.array([[float(row[f"{side}_{axis}"]) for axis in "xyz"] for side in ("left", "right")])

    def label(self, name: str, pair) -> None:
        for side, point in zip(("left", "right"), np.asarray(pair), strict=True):
            self.rows[name].update({f"{side}_{axis}": f"{value:.9g}" for axis, value in zip("xyz", point, strict=True)})

    def move(self, name: str, matrix) -> None:
        """Multiply an object's mesh and labels by a (3, 3) matrix; faces keep their outside."""
        mesh, matrix = self.mesh(name), np.asarray(matrix, dtype=float)
        faces = mesh.faces[:, ::-1] if np.linalg.det(matrix) < 0 else mesh.faces
        self.write(name, mesh.vertices @ matrix.T, faces)
        self.label(name, self.pair(name) @ matrix.T)

    def save(self) -> None:
        rows = [*self.rows.values(), *self.more_rows]
        with (self.folder / "landmarks.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, fieldnames=list(next(iter(self.rows.values()))))
            table.writeheader()
            table.writerows(rows)


@pytest.fixture(scope="session")
def editor() -> type[DatasetEditor]:
    return DatasetEditor


@pytest.fixture(scope="session")
def clean(tmp_path_factory) -> Path:
    """A dataset without faults: each object is its own group, and no split is empty."""
    folder = tmp_path_factory.mktemp("clean")
    (folder / "meshes").mkdir()
    (folder / "dataset.json").write_text('{"unit": "mm", "landmark": "ear_tip"}')
    (folder / "landmarks.csv").write_text(",".join(["object_id", *COORDINATES]))
    editor = DatasetEditor(folder)
    for i in range(COUNT):
        name, bust = f"body-{i:05d}", make_body(i, resolution_mm=9)  # coarse: 5,500 faces in 0.1 s
        editor.write(name, bust.vertices_mm, bust.faces)
        editor.rows[name] = {"object_id": name}
        editor.label(name, bust.landmarks_mm)
        editor.rows[name].update(group=name, split=SPLITS[i % len(SPLITS)])
    editor.save()
    return folder


@pytest.fixture
def corrupted(clean, tmp_path) -> DatasetEditor:
    """A copy of the clean dataset that a test may change."""
    return DatasetEditor(Path(shutil.copytree(clean, tmp_path / "corrupted")))


def _landmarks_mm(row, to_object):
    points = np.reshape(row["landmarks"], (-1, 3)) if row["landmarks"] else np.full((1, 3), np.nan)
    return None if np.isnan(points).all() else apply(to_object, points)


@pytest.fixture(scope="session")
def survey_of() -> Callable[[Path], Survey]:
    """A function that measures a whole dataset, in this process."""

    def survey_of(folder: Path) -> Survey:
        is_labelled, faults = (folder / "landmarks.csv").exists(), []
        dataset = open_dataset(str(folder), labelled=is_labelled, faults=faults)
        to_object = dataset.object_from_source
        jobs = [
            MeasureJob(
                row["object_id"],
                dataset.mesh_uri(row["mesh"]),
                to_object,
                dataset.landmarks,
                _landmarks_mm(row, to_object),
            )
            for row in dataset.objects.to_pylist()
            if row["mesh"]
        ]
        sample = jobs[:: max(1, len(jobs) // REFERENCE_SAMPLE)]
        reference = measure_reference(ReferenceJob([(job.mesh_uri, to_object) for job in sample]))
        rows = [measure(replace(job, reference=reference)) for job in jobs]
        files = [entry.name for entry in list_files(str(folder / "meshes"))]
        measured = [row for row in rows if isinstance(row, Measurement)]
        unread = [row for row in rows if isinstance(row, Unread)]
        return Survey(dataset, is_labelled, faults, files, measured, unread, reference)

    return survey_of


@pytest.fixture(scope="session")
def clean_survey(clean, survey_of) -> Survey:
    return survey_of(clean)
