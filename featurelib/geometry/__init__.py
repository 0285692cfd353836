"""Frames, cameras, rig, mirror and rays, as every part of featurelib uses them.

docs/conventions.md describes the frames with figures.
"""

from featurelib.geometry.alignment import MM_PER_UNIT, Alignment
from featurelib.geometry.cameras import Camera, Lens, Orthographic, Perspective, Rays
from featurelib.geometry.landmark_set import SIDES, LandmarkSet, Mirror
from featurelib.geometry.landmarks import is_visible, near_in_slots
from featurelib.geometry.mirror import (
    Canonical,
    canonical,
    mirror_landmarks,
    mirror_permutation,
    mirror_views,
    mirror_xy,
    permuted,
)
from featurelib.geometry.quaternions import matrix_from_wxyz, wxyz_from_matrix
from featurelib.geometry.rig import DEFAULT_RIG, PROJECTIONS, Projection, Rig, View, frame_needed_mm, lens_for
from featurelib.geometry.sides import MIDLINE_COLOUR, ROLE_COLOURS, SIDE_COLOURS, UNPAIRED_COLOUR
from featurelib.geometry.transforms import apply, inverse, rigid
from featurelib.geometry.triangulation import triangulate

__all__ = [
    "DEFAULT_RIG",
    "MIDLINE_COLOUR",
    "MM_PER_UNIT",
    "PROJECTIONS",
    "ROLE_COLOURS",
    "SIDES",
    "SIDE_COLOURS",
    "UNPAIRED_COLOUR",
    "Alignment",
    "Camera",
    "Canonical",
    "LandmarkSet",
    "Lens",
    "Mirror",
    "Orthographic",
    "Perspective",
    "Projection",
    "Rays",
    "Rig",
    "View",
    "apply",
    "canonical",
    "frame_needed_mm",
    "inverse",
    "is_visible",
    "lens_for",
    "matrix_from_wxyz",
    "mirror_landmarks",
    "mirror_permutation",
    "mirror_views",
    "mirror_xy",
    "near_in_slots",
    "permuted",
    "rigid",
    "triangulate",
    "wxyz_from_matrix",
]
