"""The columns of the tables that a run writes, as Arrow schemas; docs/records.md explains them.

xy are image positions in [0, 1]; columns in mm are in the object frame.
"""

import pyarrow as pa

from featurelib.geometry import LandmarkSet

SCHEMA_VERSION = 3
"""Version of a rendering's manifest and shards. 3: landmark sets; 2: the key names of version 0.2.0."""

POINT = pa.list_(pa.float64(), 3)
QUATERNION = pa.list_(pa.float64(), 4)


def objects_schema(num_landmarks: int) -> pa.Schema:
    """Return the columns of a dataset's objects with k landmarks, in source frame and unit.

    `mesh` is the file's name, null if missing. `rotation_wxyz` is the object's rotation after the dataset's alignment,
    a quaternion w, x, y, z; null without one. `landmarks` (k x 3) are NaN where not labelled. `landmarks` and `absent`
    are null in a dataset that was opened without labels.
    """
    return pa.schema(
        [
            ("object_id", pa.string()),
            ("mesh", pa.string()),
            ("mesh_tag", pa.string()),
            ("rotation_wxyz", QUATERNION),
            ("group", pa.string()),
            ("split", pa.string()),
            ("landmarks", pa.list_(pa.float64(), 3 * num_landmarks)),
            ("absent", pa.list_(pa.bool_(), num_landmarks)),
        ]
    )


INPUTS = pa.schema([("mesh_tag", pa.string()), ("content_tag", pa.string())])
"""The content tag of each tag of a listing, so that unchanged files are not read again."""

REJECTS = pa.schema([("object_id", pa.string()), ("stage", pa.string()), ("reason", pa.string())])
"""One row per object without views."""

VIEW_KEYS = ("object_id", "group", "split", "mesh_sha256")
"""Columns of a shard, all text, that are the same in all views of an object."""


def shard_schema(landmarks: LandmarkSet) -> pa.Schema:
    """Return the columns of a shard: one row per rendered view.

    half_height_mm is null for perspective, yfov_deg for orthographic.
    """
    num_landmarks, num_slots = len(landmarks.names), len(landmarks.slots)
    return pa.schema(
        [
            ("object_id", pa.string()),
            ("group", pa.string()),
            ("split", pa.string()),
            ("view", pa.int32()),
            ("projection", pa.string()),
            ("png", pa.binary()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("landmarks_xy", pa.list_(pa.float32(), 2 * num_landmarks)),
            ("landmarks_visible", pa.list_(pa.bool_(), num_landmarks)),
            ("landmarks_absent", pa.list_(pa.bool_(), num_landmarks)),
            ("near", pa.list_(pa.int8(), num_slots)),
            ("landmarks_mm", pa.list_(pa.float64(), 3 * num_landmarks)),
            ("centre_mm", POINT),
            ("object_from_camera", pa.list_(pa.float64(), 16)),
            ("half_height_mm", pa.float64()),
            ("yfov_deg", pa.float64()),
            ("mesh_sha256", pa.string()),
        ]
    )


def vectors_schema(landmarks: LandmarkSet, num_views: int) -> pa.Schema:
    """Return the columns of a run's vectors: one row per object, with the rig's views in order.

    `xy` and `xy_true` are in the order slot, view; the last three are in the order view, landmark. Those are NaN if the
    detector has the regression head, which does not distinguish left and right.
    """
    num_landmarks, num_slots = len(landmarks.names), len(landmarks.slots)
    near = pa.list_(pa.float32(), 2 * num_slots * num_views)
    return pa.schema(
        [
            ("object_id", pa.string()),
            ("split", pa.string()),
            ("xy", near),
            ("xy_true", near),
            ("target_mm", pa.list_(pa.float32(), 3 * num_landmarks)),
            ("absent", pa.list_(pa.bool_(), num_landmarks)),
            ("centre_mm", POINT),
            ("landmarks_xy", pa.list_(pa.float32(), 2 * num_views * num_landmarks)),
            ("landmarks_spread", pa.list_(pa.float32(), num_views * num_landmarks)),
            ("landmarks_visible", pa.list_(pa.float32(), num_views * num_landmarks)),
        ]
    )
