"""A program that uses the public API, for mypy: `make lint` checks it, and nothing runs it.

mypy reports an error if a public function accepts or returns another type than the annotations here.
"""

from pathlib import Path
from typing import assert_type

import numpy as np
from numpy.typing import NDArray

from featurelib import (
    DEFAULT_RIG,
    Alignment,
    Camera,
    Dataset,
    FeaturelibError,
    Mesh,
    Orthographic,
    Perspective,
    Rays,
    Rig,
    View,
    load_mesh,
    make_body,
    open_dataset,
    open_renderer,
    triangulate,
    write_dataset,
)


def meshes_of(folder: str) -> dict[str, Mesh]:
    """Return the meshes of a dataset by object, in the object frame."""
    write_dataset(Path(folder), 3, unit="inch")
    dataset: Dataset = open_dataset(folder)
    assert_type(dataset.object_from_source, NDArray[np.float64])
    return {object_id: dataset.load(file) for object_id, file in dataset.files.items()}


def mesh_of(path: Path) -> Mesh | str:
    """Return the mesh of a file, or the fault in one line."""
    alignment = Alignment.from_dict({"rotations_wxyz": [[1, 0, 0, 0]], "scale": 1.0})
    try:
        return load_mesh(path.read_bytes(), path.suffix, alignment.object_from_source("mm"), name=path.name)
    except FeaturelibError as error:
        return str(error)


def cameras_around(mesh: Mesh, *, frame_mm: float, flat: bool) -> list[Camera]:
    """Return the nine cameras of the default rig, and three of another rig."""
    lens: Orthographic | Perspective = Orthographic(frame_mm / 2) if flat else Perspective(yfov_deg=30.0)
    own = Rig((View(-45.0), View(0.0), View(45.0)))
    assert_type(DEFAULT_RIG, Rig)
    return [*DEFAULT_RIG.cameras(mesh.centre_mm, lens, frame_mm), *own.cameras(mesh.centre_mm, lens, frame_mm)]


def triangulated(seed: int) -> NDArray[np.float64]:
    """Return a synthetic body's left landmark after projection and triangulation."""
    body = make_body(np.random.default_rng(seed))
    cameras = cameras_around(Mesh.smooth(body.vertices_mm, body.faces), frame_mm=400.0, flat=True)
    rays: list[Rays] = [camera.backproject(camera.project(body.landmarks_mm[0])) for camera in cameras]
    origins_mm, directions = (np.array(values) for values in zip(*rays, strict=True))
    return triangulate(Rays(origins_mm, directions))


def images_of(mesh: Mesh, camera: Camera) -> list[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    """Return pixel values and depths in millimetres."""
    renderer = open_renderer("raster")
    try:
        return [(view.pixels, view.depth_mm) for view in renderer.render(mesh, [camera], 256)]
    finally:
        renderer.close()
