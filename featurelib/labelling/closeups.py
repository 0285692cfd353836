"""Places of landmarks as the surface around the labels gives them, by models that have not seen the object.

Two linear regressions in a row predict, from a close-up of the surface around a label, how far the label is from the
landmark (supervised descent: Xiong and De la Torre, Supervised Descent Method and Its Applications to Face Alignment,
CVPR 2013). They are fitted on close-ups of the other objects' labels, moved at random. On 160 heads the
errors have a standard deviation of 0.4 to 0.9 mm along each axis of the close-up; with one regression they have 1.1 to
2.4 mm. The mean shape registered to the head is 3 mm from the landmark in the median.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import LandmarkSet
from featurelib.meshes import Mesh
from featurelib.models.refiner.crops import crop_camera, render_crops

MOST_LANDMARKS = 8
"""Sets with more landmarks need no close-ups: their landmarks place each other. A close-up has 7 kB."""

FEWEST_OBJECTS = 50
"""Fewer objects do not train the regressions, whose errors would be taken for mistakes."""

WIDTH_SHARE = 0.16
"""Width of a close-up, as a share of the object's size: 72 mm on a head."""

SIZE_PX, WINDOW_PX, STEP_PX = 48, 28, 2
"""Width of a close-up, of the window that is read from it, and of the squares whose means are read."""

REACH_PX = 8
"""Labels are moved by up to this in training: 12 mm on a head. The window then stays inside the close-up."""

STAGES, FOLDS = 2, 4
RIDGE = 0.003
MOVES, MOST_SAMPLES = 16, 8000
"""Moves of each label in training, fewer if there would be more samples."""


class CloseUps(NamedTuple):
    """The surface around the labels of an object.

    images: (k, SIZE_PX, SIZE_PX, 3) crops, see `featurelib.models.refiner.crops`; 0 without a label.
    axes_mm: (k, 3, 2) how the object frame's position changes by one pixel to the right and one down; NaN without one.
    """

    images: NDArray[np.uint8]
    axes_mm: NDArray[np.float64]


def close_ups(
    mesh: Mesh, landmarks_mm: NDArray[np.float64], rotation: NDArray[np.float64], placed: NDArray[np.float64]
) -> CloseUps:
    """Return the close-ups of an object's labels, each seen from outside in the pose of the registered mean shape.

    Args:
        mesh: of the object.
        landmarks_mm: (k, 3) labels, NaN where there is none.
        rotation: (3, 3) from the axes of the mean shape to the object's.
        placed: (k, 3) the labels in the frame of the mean shape, whose centre is the origin.
    """
    width_mm = WIDTH_SHARE * float(np.linalg.norm(np.ptp(mesh.bounds_mm, axis=0)))
    labelled = np.flatnonzero(np.isfinite(landmarks_mm).all(axis=1))
    images = np.zeros((len(landmarks_mm), SIZE_PX, SIZE_PX, 3), np.uint8)
    axes_mm = np.full((len(landmarks_mm), 3, 2), np.nan)
    turns = {i: rotation @ _from_outside(placed[i]) for i in labelled}
    cameras = [crop_camera(turns[i], landmarks_mm[i], width_mm) for i in labelled]
    images[labelled] = render_crops(mesh, cameras, SIZE_PX)
    for i, turn in turns.items():
        axes_mm[i] = width_mm / SIZE_PX * turn[:, :2] * (1, -1)
    return CloseUps(images, axes_mm)


def predicted_mm(
    landmarks: LandmarkSet, labels_mm: NDArray[np.float64], images: NDArray[np.uint8], axes_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the landmarks (n, k, 3) that the close-ups give, NaN without a label.

    The images of a pair's right landmark are mirrored and join those of the left one, if mirrored objects are of the
    same kind.

    Args:
        landmarks: the set, of k landmarks.
        labels_mm: (n, k, 3), NaN where there is none.
        images: (n, k, SIZE_PX, SIZE_PX, 3) of all objects.
        axes_mm: (n, k, 3, 2) of all objects.
    """
    found_mm = np.full_like(labels_mm, np.nan)
    known = np.asarray(np.isfinite(labels_mm).all(axis=2))
    for slot in landmarks.slots:
        own = np.unique(slot)
        flips = [bool(landmarks.mirror == "swap" and i > slot[0]) for i in own.tolist()]
        joined = len(own) == 1 or landmarks.mirror == "swap"
        for members in [own] if joined else list(own[:, None]):
            chosen, columns = np.nonzero(known[:, members])
            places = members[columns]
            flipped = np.array(flips, dtype=bool)[np.searchsorted(own, places)]
            views = np.where(flipped[:, None, None, None], mirrored(images[chosen, places]), images[chosen, places])
            offsets = predicted_offsets(views, chosen) * np.where(flipped, -1, 1)[:, None] ** (1, 0)
            found_mm[chosen, places] = labels_mm[chosen, places] + np.einsum(
                "nxa,na->nx", axes_mm[chosen, places], offsets
            )
    return found_mm


def predicted_offsets(images: NDArray[np.uint8], objects: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return how far right of and below the middles of m close-ups the landmark is (m, 2), in pixels.

    Args:
        images: (m, SIZE_PX, SIZE_PX, 3) around labels of one landmark.
        objects: (m,) numbers of their objects; no model of an object's answers has seen it.
    """
    offsets = np.zeros((len(images), 2))
    for fold in range(FOLDS):
        unseen = objects % FOLDS == fold
        if unseen.any() and (~unseen).any():
            offsets[unseen] = _descended(images[~unseen], images[unseen])
    return offsets


def mirrored(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the close-ups (..., SIZE_PX, SIZE_PX, 3) of the mirrored surface."""
    flipped = images[..., ::-1, :].copy()
    flipped[..., 1] = 255 - flipped[..., 1]  # the right component of the normal
    return flipped


def _descended(seen: NDArray[np.uint8], unseen: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the offsets (m, 2) of unseen close-ups, by regressions on moved windows of the seen ones."""
    random = np.random.default_rng(0)
    moves = int(np.clip(MOST_SAMPLES // len(seen), 1, MOVES))
    which = np.repeat(np.arange(len(seen)), moves)
    moved, found = random.uniform(-REACH_PX, REACH_PX, (len(which), 2)), np.zeros((len(unseen), 2))
    for _ in range(STAGES):
        moved, found = _whole_px(moved), _whole_px(found)
        windows = _windows(seen[which], moved)
        mean = windows.mean(axis=0)
        weights = _regression(windows - mean, moved)
        moved, found = (
            at - (read - mean) @ weights for at, read in ((moved, windows), (found, _windows(unseen, found)))
        )
    return found


def _regression(rows: NDArray[np.float32], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ridge regression of targets (m, 2) on rows (m, f)."""
    products = rows.T @ rows + np.float32(RIDGE * len(rows)) * np.eye(rows.shape[1], dtype=np.float32)
    return np.asarray(np.linalg.solve(products.astype(np.float64), rows.T @ targets))


def _windows(images: NDArray[np.uint8], moved: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the windows (m, features) of images, moved by whole pixels (m, 2); their middle has depth zero."""
    start = (SIZE_PX - WINDOW_PX) // 2 + moved.astype(int)
    squares = WINDOW_PX // STEP_PX
    rows = (start[:, 1, None] + np.arange(WINDOW_PX))[:, :, None]
    columns = (start[:, 0, None] + np.arange(WINDOW_PX))[:, None, :]
    windows = images[np.arange(len(images))[:, None, None], rows, columns].astype(np.float32)
    means = windows.reshape(-1, squares, STEP_PX, squares, STEP_PX, 3).mean(axis=(2, 4))
    middle = slice(squares // 2 - 1, squares // 2 + 1)
    depths = means[..., 2] - means[:, middle, middle, 2].mean(axis=(1, 2))[:, None, None]
    means[..., 2] = np.clip(depths, -80, 80)
    return means.reshape(len(images), -1) / np.float32(64)


def _whole_px(offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return offsets rounded to pixels, so that their windows are inside the close-up."""
    most = (SIZE_PX - WINDOW_PX) // 2
    return np.asarray(np.clip(np.rint(offsets), -most, most))


def _from_outside(placed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation (3, 3), mean shape from camera, of a view onto a point (3,) from outside, +y upwards."""
    towards = placed / max(float(np.linalg.norm(placed)), 1e-12)
    up = np.eye(3)[1] if abs(towards[1]) < 0.9 else np.eye(3)[2]
    right = np.cross(up, towards)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(towards, right), towards], axis=1)
