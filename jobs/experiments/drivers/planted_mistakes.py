"""Mistakes in labels, planted at random."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurelib.geometry import LandmarkSet
from featurelib.meshes import Mesh
from featurelib.meshes.surface import closest_points

KINDS = ("sides swapped", "names swapped", "slip", "another object's")

ROUNDS = 3
"""Rounds that bring a slipped label to its distance and back to the surface; it is then right to 0.1 mm of 5."""


class Planted(NamedTuple):
    """Labels (n, k, 3) with mistakes, and the index in KINDS of each label's mistake (n, k), -1 without one."""

    labels_mm: NDArray[np.float64]
    kinds: NDArray[np.intp]


def possible_kinds(landmarks: LandmarkSet) -> list[int]:
    """Return the indices in KINDS of the mistakes that a set can have."""
    return [i for i, is_possible in enumerate((landmarks.pairs, len(landmarks.names) > 2, True, True)) if is_possible]


def plant_in_labels(
    landmarks: LandmarkSet,
    labels_mm: NDArray[np.float64],
    meshes: Sequence[Mesh],
    count: int,
    slip_mm: float,
    random: np.random.Generator,
) -> Planted:
    """Plant mistakes in at least `count` single labels: pairs or two labels exchanged, slips, labels of other objects.

    Each kind gets as many labels as the others.

    Args:
        landmarks: the set, of k landmarks.
        labels_mm: (n, k, 3), without missing labels.
        meshes: of the n objects.
        count: number of wrong labels.
        slip_mm: length of a slip.
        random: source of the choices.
    """
    found = Planted(labels_mm.copy(), np.full(labels_mm.shape[:2], -1))
    while (found.kinds >= 0).sum() < count:
        kind = min(possible_kinds(landmarks), key=lambda i: (found.kinds == i).sum())
        i, members = _free(landmarks, found, kind, random)
        found.labels_mm[i, members] = _wrong(kind, labels_mm, meshes, i, members, slip_mm, random)
        found.kinds[i, members] = kind
    return found


def plant_in_objects(
    landmarks: LandmarkSet,
    labels_mm: NDArray[np.float64],
    meshes: Sequence[Mesh],
    count: int,
    slip_mm: float,
    random: np.random.Generator,
) -> Planted:
    """Plant mistakes in `count` objects: all sides or two names exchanged, a slip, or all labels of another object.

    The arguments are those of `plant_in_labels`.
    """
    found = Planted(labels_mm.copy(), np.full(labels_mm.shape[:2], -1))
    kinds = possible_kinds(landmarks)
    every: dict[int, Callable[[], NDArray[np.intp]]] = {
        0: lambda: np.arange(2 * len(landmarks.pairs)),
        3: lambda: np.arange(len(landmarks.names)),
    }
    for turn, i in enumerate(random.permutation(len(labels_mm))[:count]):
        kind = kinds[turn % len(kinds)]
        members = every[kind]() if kind in every else _free(landmarks, found, kind, random)[1]
        found.labels_mm[i, members] = _wrong(kind, labels_mm, meshes, i, members, slip_mm, random)
        found.kinds[i, members] = kind
    return found


def _free(
    landmarks: LandmarkSet, planted: Planted, kind: int, random: np.random.Generator
) -> tuple[int, NDArray[np.intp]]:
    """Return an object, and the landmarks of it that get a mistake and have none yet."""
    while True:
        i, k = int(random.integers(len(planted.kinds))), len(landmarks.names)
        members = (
            (
                landmarks.slots[random.integers(len(landmarks.pairs))],
                random.choice(k, 2, replace=False) if k > 1 else np.zeros(1, np.intp),
                random.integers(k, size=1),
                random.integers(k, size=1),
            )[kind]
            if landmarks.pairs or kind
            else landmarks.slots[0]
        )
        is_pair = kind == 1 and landmarks.slot_of[members[0]] == landmarks.slot_of[members[-1]]
        if (planted.kinds[i, members] < 0).all() and not is_pair:
            return i, members


def _wrong(
    kind: int,
    labels_mm: NDArray[np.float64],
    meshes: Sequence[Mesh],
    i: int,
    members: NDArray[np.intp],
    slip_mm: float,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Return wrong labels (m, 3) of some landmarks of an object; those of swapped sides are in pairs."""
    if kind < 2:
        return np.asarray(labels_mm[i, members].reshape(-1, 2, 3)[:, ::-1].reshape(-1, 3))
    if kind == 2:
        return slipped(meshes[i], labels_mm[i, members], slip_mm, random)
    other = (i + 1 + int(random.integers(len(labels_mm) - 1))) % len(labels_mm)
    return labels_mm[other, members]


def slipped(
    mesh: Mesh, points_mm: NDArray[np.float64], slip_mm: float, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return points (m, 3) of the surface moved along it in random directions, by about `slip_mm`."""
    steps = random.normal(size=points_mm.shape)
    for _ in range(ROUNDS):
        moved = points_mm + slip_mm * steps / np.linalg.norm(steps, axis=1, keepdims=True)
        steps = closest_points(moved, mesh.vertices_mm, mesh.faces)[0] - points_mm
    return np.asarray(points_mm + steps)
