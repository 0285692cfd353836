"""train-lifter on real renders of a small set, with detections made from the true positions."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from featurelib.datasets.dataset import MeshFile, open_dataset
from featurelib.datasets.landmark_table import write_landmarks
from featurelib.datasets.objects_table import write_objects
from featurelib.datasets.schemas import vectors_schema
from featurelib.datasets.shards import Manifest, open_renders
from featurelib.datasets.synthetic import LANDMARKS, write_dataset
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet, near_in_slots
from featurelib.models.lifter.files import lifter_version, read_numbers, read_template
from featurelib.models.lifter.model import Lifter
from featurelib.models.lifter.vectors import read_vectors, vectors_uri, write_vectors
from featurelib.runtime import storage
from jobs.render import RenderConfig, render
from jobs.train_lifter import TrainLifterConfig, train_lifter
from jobs.workers.inference import MeshMethods, mesh_files, on_meshes

OBJECTS = 14
SPLITS = ["val"] * 4 + ["test"] * 2 + ["train"] * (OBJECTS - 6)
MISSING = 2
"""The landmark without a label on every third object."""

PROJECTION = "orthographic"


def detected(manifest: Manifest, landmarks: LandmarkSet = LANDMARKS) -> pa.Table:
    """Return vectors whose detections are the true positions with errors of 0.3 % of the width."""
    rng, dataset = np.random.default_rng(0), open_dataset(manifest.dataset)
    ids, points = (dataset.objects[name].to_pylist() for name in ("object_id", "landmarks"))
    rows, slots = [], landmarks.slots
    for i, (name, file, labels) in enumerate(zip(ids, mesh_files(dataset, ids), points, strict=True)):
        mesh, landmarks_mm = dataset.load(file), np.reshape(labels, (-1, 3))
        cameras = manifest.spec.cameras(mesh.centre_mm)
        xy = np.stack([camera.project(landmarks_mm) for camera in cameras])  # (v, k, 2); the dataset is in mm
        seen = np.where(np.isnan(xy), 0.5, xy) + 0.003 * rng.normal(size=xy.shape)
        near = np.stack([near_in_slots(camera, landmarks_mm, slots) for camera in cameras])  # (v, s)
        chosen = slots[np.arange(len(slots)), np.maximum(near, 0)]
        near_xy, true_xy = (np.take_along_axis(values, chosen[..., None], axis=1) for values in (seen, xy))
        rows.append(
            {
                "object_id": name,
                "split": SPLITS[i],
                "xy": np.moveaxis(near_xy, 0, 1).ravel(),
                "xy_true": np.moveaxis(np.where(near[..., None] < 0, np.nan, true_xy), 0, 1).ravel(),
                "target_mm": landmarks_mm.ravel(),
                "absent": np.zeros(len(landmarks_mm), dtype=bool),
                "centre_mm": mesh.centre_mm,
                "landmarks_xy": seen.ravel(),
                "landmarks_spread": np.full(seen.shape[:2], 0.01).ravel(),
                "landmarks_visible": rng.uniform(0.8, 1, seen.shape[:2]).ravel(),
            }
        )
    return pa.Table.from_pylist(rows, vectors_schema(landmarks, len(manifest.spec.rig)))


@pytest.fixture(scope="module")
def trained(cluster, tmp_path_factory) -> str:
    """A run with a trained lifter of six landmarks, one of which is not labelled on every third object."""
    folder, run = tmp_path_factory.mktemp("set"), str(tmp_path_factory.mktemp("run"))
    write_dataset(folder, OBJECTS, landmarks=LANDMARKS)
    objects = open_dataset(str(folder)).objects
    ids = objects["object_id"].to_pylist()
    labels = objects["landmarks"].to_pylist()
    points = {name: np.reshape(of_one, (-1, 3)) for name, of_one in zip(ids, labels, strict=True)}
    for name in ids[::3]:
        points[name][MISSING] = np.nan
    (folder / "landmarks.csv").write_bytes(write_landmarks(LANDMARKS, points))
    (folder / "objects.csv").write_bytes(
        write_objects({name: (None, split) for name, split in zip(ids, SPLITS, strict=True)})
    )
    render(RenderConfig(dataset=str(folder), run=run, projections=(PROJECTION,), image_size=64))
    manifest = open_renders(run, PROJECTION)
    table = detected(manifest)
    write_vectors(vectors_uri(run, PROJECTION), [table], table.schema, LANDMARKS.to_record())
    train_lifter(TrainLifterConfig(run=run))
    return run


def test_a_set_is_trained_with_its_numbers(trained) -> None:
    """lifter.json names the set, and has a mean, noise and a factor for each landmark; the errors are small."""
    numbers = read_numbers(trained, PROJECTION)

    assert LandmarkSet.from_record(numbers, name="lifter.json").hash == LANDMARKS.hash
    assert np.shape(numbers["mean_mm"]) == (6, 3)
    assert np.shape(numbers["noise_xy"]) == np.shape(numbers["mean_xy"]) == (4, 9, 2)
    assert {key: len(noise) for key, noise in numbers["view_noise"].items()} == {"0": 6, "1": 6}
    assert {"mlp", "robust", "template", "snapped", "surface_all"} <= set(numbers["validation_mm"])
    assert all(np.isfinite(error_mm) for error_mm in numbers["validation_mm"].values())
    factors = numbers["uncertainty"]["factors"]
    assert len(factors) == 6
    assert (factors[0], factors[2]) == (factors[1], factors[3])
    assert numbers["validation_mm"][numbers["chosen"]] < 2
    assert read_template(trained, PROJECTION).landmarks_mm.shape == (6, 3)


def test_the_trained_lifter_places_every_landmark(trained) -> None:
    """By each method, on test objects; a missing near position leaves the MLP an answer for all."""
    manifest, vectors = open_renders(trained, PROJECTION), read_vectors(trained, PROJECTION).where("test")
    lifter = Lifter.load(trained, PROJECTION, manifest.spec, manifest.landmarks)

    for method in lifter.methods:
        assert np.isfinite(lifter.estimates_mm(vectors, method)).all()
    found = lifter.estimates_mm(vectors, lifter.chosen)
    assert np.nanmean(np.linalg.norm(found - vectors.landmarks_mm, axis=2)) < 2
    holed = vectors.xy.copy()
    holed[:, 1] = np.nan
    assert np.isfinite(lifter.estimates_mm(replace(vectors, xy=holed), "mlp")).all()


def test_meshes_give_every_landmark_with_every_surface_fusion(trained) -> None:
    """A damaged mesh has no result; the others have the whole set."""
    manifest, vectors = open_renders(trained, PROJECTION), read_vectors(trained, PROJECTION).where("val")
    lifter, dataset = (
        Lifter.load(trained, PROJECTION, manifest.spec, manifest.landmarks),
        open_dataset(manifest.dataset),
    )
    methods = MeshMethods(lifter.template, lifter.spec, lifter.landmarks, lifter.view_noise)
    files = [MeshFile("missing.ply"), *mesh_files(dataset, vectors.object_ids)[1:]]

    missing, *found = on_meshes("test", dataset, methods, files, vectors)

    assert missing is None
    assert len(found) == 3
    for each in found:
        assert each.located.landmarks_mm.shape == (6, 3)
        assert all(np.isfinite(landmarks_mm).all() for landmarks_mm in each.estimates_mm.values())


def test_a_finished_training_is_not_repeated(trained) -> None:
    before = lifter_version(trained, PROJECTION)

    train_lifter(TrainLifterConfig(run=trained))

    assert lifter_version(trained, PROJECTION) == before


def test_another_set_is_refused(trained) -> None:
    """A lifter and vectors of another set than the renders each give one line with the difference."""
    manifest = open_renders(trained, PROJECTION)
    with pytest.raises(DataError, match=r"trained on another landmark set, with .*; run `featurelib train-lifter"):
        Lifter.load(trained, PROJECTION, manifest.spec, LandmarkSet.single_pair("ear_tip"))


def test_vectors_of_another_set_and_missing_labels_are_refused(trained) -> None:
    """The message names the file, and the landmark that no training object has."""
    manifest, run = open_renders(trained, PROJECTION), trained
    uri = vectors_uri(run, PROJECTION)
    table, kept = detected(manifest), storage.read_bytes(uri)
    try:
        renamed = replace(LANDMARKS, midline=(*LANDMARKS.midline[:-1], "other"))
        write_vectors(uri, [table], table.schema, renamed.to_record())
        with pytest.raises(DataError, match=r"orthographic\.parquet: of another landmark set than .*'other'"):
            train_lifter(TrainLifterConfig(run=run))
        targets = np.array(table["target_mm"].to_pylist()).reshape(OBJECTS, 6, 3)
        targets[[split == "train" for split in SPLITS], 5] = np.nan
        column = pa.array(targets.reshape(OBJECTS, -1).tolist(), table.schema.field("target_mm").type)
        unlabelled = table.set_column(table.schema.get_field_index("target_mm"), "target_mm", column)
        write_vectors(uri, [unlabelled], table.schema, {**LANDMARKS.to_record(), "other": 1})
        with pytest.raises(DataError, match=rf"landmark '{LANDMARKS.names[5]}' is labelled on none of 8 training"):
            train_lifter(TrainLifterConfig(run=run))
    finally:
        storage.write_bytes(uri, kept)
