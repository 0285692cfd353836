"""The template baseline: the mean training shape, registered to an object, predicts its landmarks.

The template is registered by iterative closest points, and its landmarks are snapped to the surface. It learns only a
mean, so a network has to be better than it.

The mean error of the tragus, on 48 test heads with 112 training heads in poses of up to 15 degrees, is 21.9 mm for the
mean landmark and 5.1 mm after one registration of the whole shape. A second one, weighted around the landmark, gives
3.4 mm. On one core it takes 0.16 s per object, and 4 s to build the template. More template points (4,000), more
shapes (112) or a mean refined around each landmark changed the error by less than another choice of heads.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import DataError
from featurelib.meshes.registration import Registration, Target, centre_mm, diagonal_mm, register
from featurelib.meshes.surface import closest_points, sample_surface

Shape = tuple[NDArray[np.floating], NDArray[np.integer], NDArray[np.floating]]
"""A labelled training object: vertices (v, 3), faces (f, 3) and landmarks (k, 3), NaN where not labelled; in mm."""

MAX_SHAPES = 30
"""Shapes in the mean; 112 instead of 30 heads change the error by 0.1 mm."""

MIN_LABELS = 5
"""Shapes with a label of each landmark, if there are as many; rarely labelled landmarks need more than MAX_SHAPES."""

ROUNDS = 2
"""Number of means: the first from the initial shape, the second from the first mean."""

NEIGHBOURHOOD = 0.08
"""Standard deviation of the weights around a landmark, as a share of the template's diagonal (36 mm on a head)."""

REST_WEIGHT = 0.01
"""Weight of points far from the landmark: it determines the pose where the neighbourhood is flat or round."""

REST_BELOW, REST_STEP, COARSE_STEP = 0.1, 8, 4
"""Of the points that weigh less than the first value (1 at the landmark), only every REST_STEP-th is used. The whole
shape is first registered with every COARSE_STEP-th point. On 100 heads this halves the time per object, from 140 to
70 ms on a busy core, and keeps the error of 4.17 mm (difference 0.00, standard error 0.09)."""


ALONE = 4
"""Landmarks up to this number are registered one by one."""

GROUP_RADIUS = 0.8
"""Of more landmarks, those within this distance of one of them share its registration, in units of the standard
deviation of the weights. On 20 heads, 76 landmarks form 15 groups and take 178 ms per object, where one pair takes 56
and a registration per landmark 808. The mean error is 2.7 mm with 12 groups as with 76."""


@dataclass(frozen=True, eq=False)
class Template:
    """The mean shape and its landmarks, in mm; the origin is the centre of the points' bounding box.

    points_mm: (m, 3) points of the mean surface.
    landmarks_mm: (k, 3) mean landmarks, in the set's order.
    """

    points_mm: NDArray[np.float64]
    landmarks_mm: NDArray[np.float64]

    def to_bytes(self) -> bytes:
        """Return the template as the bytes of an npz file."""
        file = io.BytesIO()
        np.savez(file, points_mm=self.points_mm, landmarks_mm=self.landmarks_mm)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, *, name: str = "template") -> Self:
        """Return the template that `to_bytes` wrote; errors begin with `name`.

        Raises:
            DataError: if the bytes are not those of a template.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                points_mm, landmarks_mm = arrays["points_mm"], arrays["landmarks_mm"]
        except Exception as error:  # noqa: BLE001 (zipfile, zlib, struct and NumPy each raise their own)
            raise DataError(
                f"{name}: not a template ({error}); expected an npz file of points_mm, landmarks_mm"
            ) from None
        if points_mm.ndim != 2 or points_mm.shape[1] != 3 or landmarks_mm.ndim != 2 or landmarks_mm.shape[1] != 3:
            raise DataError(
                f"{name}: points_mm {points_mm.shape} and landmarks_mm {landmarks_mm.shape}; expected (m, 3) and (k, 3)"
            )
        return cls(points_mm, landmarks_mm)


@dataclass(frozen=True, eq=False)
class LocatedLandmarks:
    """The landmarks that a template predicts for an object, in the object's frame.

    landmarks_mm: (k, 3) on the surface, in the set's order.
    unsnapped_mm: (k, 3) before the snap to the surface.
    whole: the registration of the whole template.
    near_residual_mm: (k,) mean distance of each landmark's neighbourhood from the surface after its own registration.
    snap_mm: (k,) distance by which the snap moved each landmark.
    """

    landmarks_mm: NDArray[np.float64]
    unsnapped_mm: NDArray[np.float64]
    whole: Registration
    near_residual_mm: NDArray[np.float64]
    snap_mm: NDArray[np.float64]


def chosen_shapes(is_labelled: ArrayLike) -> NDArray[np.intp]:
    """Return the indices of the training objects (n, k) for the mean: MAX_SHAPES of them, evenly spread.

    More are added for landmarks that fewer than MIN_LABELS of these have.

    Args:
        is_labelled: (n, k) whether an object has a label of a landmark.
    """
    labelled = np.asarray(is_labelled, dtype=bool)
    evenly = np.arange(len(labelled))[:: max(1, len(labelled) // MAX_SHAPES)][:MAX_SHAPES]
    rare = np.flatnonzero(labelled[evenly].sum(axis=0) < MIN_LABELS)
    return np.unique(np.concatenate([evenly, *(np.flatnonzero(labelled[:, k])[:MIN_LABELS] for k in rare)]))


def build_template(
    shapes: Sequence[Shape], *, names: Sequence[str] = (), num_points: int = 2000, seed: int = 0
) -> Template:
    """Return the mean of training shapes; their meshes need no correspondence.

    The initial template is a sample of the shape of median size. It is registered to each shape, and each of its points
    becomes the mean of the closest surface points in the template's frame. This is repeated ROUNDS times. A landmark is
    the mean over the shapes that have it.

    Args:
        shapes: at least one.
        names: of the k landmarks, for the error.
        num_points: points of the template.
        seed: of the surface samples.

    Raises:
        DataError: if there is no shape, or no shape has a landmark.
    """
    if not shapes:
        raise DataError("template: no training shapes; expected at least one labelled object")
    labels_mm = np.array([landmarks_mm for _, _, landmarks_mm in shapes], dtype=np.float64)
    for k in np.flatnonzero(np.isnan(labels_mm).any(axis=2).all(axis=0)).tolist():
        name = names[k] if names else k
        raise DataError(
            f"template: landmark {name!r} is labelled on none of {len(shapes)} training objects; "
            "label it on some, or remove it from the set"
        )
    by_size = sorted(shapes, key=lambda shape: diagonal_mm(shape[0]))
    vertices, faces, landmarks_mm = by_size[len(by_size) // 2]
    template = _centred(sample_surface(vertices, faces, num_points, seed), landmarks_mm)
    targets = [Target.sample(vertices, faces) for vertices, faces, _ in shapes]
    for _ in range(ROUNDS):
        found = [register(template.points_mm, target) for target in targets]
        points = [
            r.to_template(t.project(r.to_object(template.points_mm))) for r, t in zip(found, targets, strict=True)
        ]
        in_template = [r.to_template(labels) for r, labels in zip(found, labels_mm, strict=True)]
        template = _centred(np.mean(points, axis=0), np.nanmean(in_template, axis=0))
    return template


def locate(template: Template, vertices_mm: ArrayLike, faces: ArrayLike) -> LocatedLandmarks:
    """Return the landmarks of an object, in the frame of its vertices (v, 3), by registering the template.

    The whole shape is registered first. Around each group of landmarks it is then registered again with weights that
    decrease with the distance from the group's centre, so that the pose of the ear does not depend on the chin.
    """
    target, points_mm = Target.sample(vertices_mm, faces), template.points_mm
    whole = register(points_mm, target, start=register(points_mm[::COARSE_STEP], target))
    unsnapped_mm = np.empty_like(template.landmarks_mm)
    near_residual_mm = np.empty(len(unsnapped_mm))
    for members in groups(template):
        chosen, weights = _around(points_mm, template.landmarks_mm[members].mean(axis=0))
        near = register(points_mm[chosen], target, weights, whole)
        unsnapped_mm[members] = near.to_object(template.landmarks_mm[members])
        near_residual_mm[members] = near.residual_mm
    landmarks_mm, snap_mm, _ = closest_points(unsnapped_mm, vertices_mm, faces)
    return LocatedLandmarks(landmarks_mm, unsnapped_mm, whole, near_residual_mm, snap_mm)


def groups(template: Template) -> list[NDArray[np.intp]]:
    """Return the landmarks that share a registration, as indices; every landmark is in one group.

    The largest possible group is taken first: a landmark and those near it that have no group yet.
    """
    landmarks_mm = template.landmarks_mm
    if len(landmarks_mm) <= ALONE:
        return list(np.arange(len(landmarks_mm))[:, None])
    apart_mm = np.linalg.norm(landmarks_mm[:, None] - landmarks_mm, axis=-1)
    near = apart_mm <= GROUP_RADIUS * NEIGHBOURHOOD * diagonal_mm(template.points_mm)
    found = []
    while near.any():
        members = np.flatnonzero(near[near.sum(axis=1).argmax()])
        found.append(members)
        near[members], near[:, members] = False, False
    return found


def _around(
    points_mm: NDArray[np.float64], landmark_mm: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the indices and weights of the points (m, 3) for a registration around a landmark (3,).

    Of the distant points only every REST_STEP-th is used, with REST_STEP times its weight.
    """
    away = np.linalg.norm(points_mm - landmark_mm, axis=-1) / (NEIGHBOURHOOD * diagonal_mm(points_mm))
    bell = np.exp(-(away**2) / 2)
    near, rest = np.flatnonzero(bell > REST_BELOW), np.flatnonzero(bell <= REST_BELOW)[::REST_STEP]
    counts = np.repeat([1, REST_STEP], [len(near), len(rest)])
    chosen = np.concatenate([near, rest])
    return chosen, counts * (bell[chosen] + REST_WEIGHT)


def _centred(points_mm: NDArray[np.float64], landmarks_mm: NDArray[np.floating]) -> Template:
    middle_mm = centre_mm(points_mm)
    return Template(points_mm - middle_mm, np.asarray(landmarks_mm, dtype=np.float64) - middle_mm)
