"""A user's program as a type checker sees it: `make lint` gives it to mypy, and nothing runs it.

Every annotation here is a promise: where a public function gives or takes another type, mypy says so.
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
    """A dataset's meshes by object, in the object frame."""
    write_dataset(Path(folder), 3, unit="inch")
    dataset: Dataset = open_dataset(folder)
    assert_type(dataset.object_from_source, NDArray[np.float64])
    return {object_id: dataset.load(file) for object_id, file in dataset.files.items()}


def mesh_of(path: Path) -> Mesh | str:
    """A file's mesh, or one line on what is wrong with it."""
    alignment = Alignment.from_dict({"rotations_wxyz": [[1, 0, 0, 0]], "scale": 1.0})
    try:
        return load_mesh(path.read_bytes(), path.suffix, alignment.object_from_source("mm"), name=path.name)
    except FeaturelibError as error:
        return str(error)


def cameras_about(mesh: Mesh, *, frame_mm: float, flat: bool) -> list[Camera]:
    """The nine cameras of the rig, and three of a rig of one's own."""
    lens: Orthographic | Perspective = Orthographic(frame_mm / 2) if flat else Perspective(yfov_deg=30.0)
    own = Rig((View(-45.0), View(0.0), View(45.0)))
    assert_type(DEFAULT_RIG, Rig)
    return [*DEFAULT_RIG.cameras(mesh.centre_mm, lens, frame_mm), *own.cameras(mesh.centre_mm, lens, frame_mm)]


def found_again(seed: int) -> NDArray[np.float64]:
    """A synthetic body's left landmark: projected, and triangulated."""
    body = make_body(np.random.default_rng(seed))
    cameras = cameras_about(Mesh.smooth(body.vertices_mm, body.faces), frame_mm=400.0, flat=True)
    rays: list[Rays] = [camera.backproject(camera.project(body.pair_mm[0])) for camera in cameras]
    origins_mm, directions = (np.array(values) for values in zip(*rays, strict=True))
    return triangulate(Rays(origins_mm, directions))


def pictures_of(mesh: Mesh, camera: Camera) -> list[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    """Grey values or colours, and depths in millimetres."""
    renderer = open_renderer("raster")
    try:
        return [(picture.pixels, picture.depth_mm) for picture in renderer.render(mesh, [camera], 256)]
    finally:
        renderer.close()
