"""Draw bodies.png: six synthetic bodies in three views, each with its visible landmarks.

The left landmark is blue, the right one orange. Run this in the repository's root (takes a few seconds):

    .venv/bin/python docs/images/make_bodies.py
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from featurelib.datasets.synthetic import make_body
from featurelib.geometry import SIDE_COLOURS, Camera, Orthographic, Rig, View, is_visible
from featurelib.meshes import Mesh
from featurelib.rendering import Renderer, open_renderer

SEEDS = (0, 4, 6, 13, 21, 3)
RIG = Rig((View(-90), View(-38), View(0), View(38), View(90)))
ROWS = (3, 2, 0)
"""Views of RIG from top to bottom: three-quarter from the left, front, right side."""

FRAME_MM, TILE_PX, OVERSAMPLING = 290.0, 210, 3


def main() -> None:
    """Write the image next to this file."""
    renderer = open_renderer("raster")
    columns = [np.vstack(_tiles(renderer, seed)) for seed in SEEDS]
    renderer.close()
    Image.fromarray(np.hstack(columns)).save(Path(__file__).with_name("bodies.png"), optimize=True)


def _tiles(renderer: Renderer, seed: int) -> list[np.ndarray]:
    """Return the tiles (TILE_PX, TILE_PX, 3) of one body, from top to bottom."""
    body = make_body(seed)
    mesh = Mesh.smooth(body.vertices_mm, body.faces)
    cameras = RIG.cameras(mesh.centre_mm, Orthographic(FRAME_MM / 2), FRAME_MM)
    chosen = [cameras[row] for row in ROWS]
    images = renderer.render(mesh, chosen, TILE_PX * OVERSAMPLING)
    return [
        _tile(image.pixels, camera, body.landmarks_mm, is_visible(camera, body.landmarks_mm, image.depth_mm, 2.0))
        for image, camera in zip(images, chosen, strict=True)
    ]


def _tile(pixels: np.ndarray, camera: Camera, landmarks_mm: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return the image at its final size with a dot on each visible landmark."""
    image = Image.fromarray(pixels).convert("RGB")
    draw = ImageDraw.Draw(image)
    for xy, colour, is_seen in zip(
        camera.project(landmarks_mm) * image.size, SIDE_COLOURS.values(), visible, strict=True
    ):
        if is_seen:
            draw.circle(tuple(xy), 4.5 * OVERSAMPLING, fill=colour, outline="white", width=OVERSAMPLING)
    return np.asarray(image.resize((TILE_PX, TILE_PX), Image.Resampling.LANCZOS))


if __name__ == "__main__":
    main()
