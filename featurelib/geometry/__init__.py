"""Frames, cameras, rig, mirror and rays, as every part of featurelib uses them.

docs/conventions.md describes the frames with figures.
"""

from featurelib.geometry.alignment import MM_PER_UNIT, Alignment
from featurelib.geometry.cameras import Camera, Lens, Orthographic, Perspective, Rays
from featurelib.geometry.landmarks import SIDES, is_visible, near_side
from featurelib.geometry.mirror import mirror_pair, mirror_views, mirror_xy
from featurelib.geometry.quaternions import matrix_from_wxyz, wxyz_from_matrix
from featurelib.geometry.rig import DEFAULT_RIG, PROJECTIONS, Projection, Rig, View, frame_needed_mm, lens_for
from featurelib.geometry.sides import SIDE_COLOURS
from featurelib.geometry.transforms import apply, inverse, rigid
from featurelib.geometry.triangulation import triangulate

__all__ = [
    "DEFAULT_RIG",
    "MM_PER_UNIT",
    "PROJECTIONS",
    "SIDES",
    "SIDE_COLOURS",
    "Alignment",
    "Camera",
    "Lens",
    "Orthographic",
    "Perspective",
    "Projection",
    "Rays",
    "Rig",
    "View",
    "apply",
    "frame_needed_mm",
    "inverse",
    "is_visible",
    "lens_for",
    "matrix_from_wxyz",
    "mirror_pair",
    "mirror_views",
    "mirror_xy",
    "near_side",
    "rigid",
    "triangulate",
    "wxyz_from_matrix",
]
