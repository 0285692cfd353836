"""The columns of the tables that a run writes, as Arrow schemas; docs/records.md explains them.

xy are image positions in [0, 1]; columns in mm are in the object frame.
"""

import pyarrow as pa

SCHEMA_VERSION = 2
"""Version of a rendering's manifest and shards. 2: the key names of version 0.2.0."""

XY = pa.list_(pa.float32(), 2)
POINT = pa.list_(pa.float64(), 3)
QUATERNION = pa.list_(pa.float64(), 4)

OBJECTS = pa.schema(
    [
        ("object_id", pa.string()),
        ("mesh", pa.string()),
        ("mesh_tag", pa.string()),
        ("rotation_wxyz", QUATERNION),
        ("group", pa.string()),
        ("split", pa.string()),
        ("left", POINT),
        ("right", POINT),
    ]
)
"""A dataset's objects: `mesh` is the file's name, null if missing; left and right in source frame and unit.
`rotation_wxyz` is the object's rotation after the dataset's alignment, a quaternion w, x, y, z; null without one."""

INPUTS = pa.schema([("mesh_tag", pa.string()), ("content_tag", pa.string())])
"""The content tag of each tag of a listing, so that unchanged files are not read again."""

SHARD = pa.schema(
    [
        ("object_id", pa.string()),
        ("group", pa.string()),
        ("split", pa.string()),
        ("view", pa.int32()),
        ("projection", pa.string()),
        ("png", pa.binary()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("left_xy", XY),
        ("right_xy", XY),
        ("left_visible", pa.bool_()),
        ("right_visible", pa.bool_()),
        ("near_side", pa.string()),
        ("xy", XY),
        ("left_mm", POINT),
        ("right_mm", POINT),
        ("centre_mm", POINT),
        ("object_from_camera", pa.list_(pa.float64(), 16)),
        ("half_height_mm", pa.float64()),
        ("yfov_deg", pa.float64()),
        ("mesh_sha256", pa.string()),
    ]
)
"""One row per rendered view. half_height_mm is null for perspective, yfov_deg for orthographic."""

REJECTS = pa.schema([("object_id", pa.string()), ("stage", pa.string()), ("reason", pa.string())])
"""One row per object without views."""


def vectors_schema(num_views: int) -> pa.Schema:
    """Return the columns of a run's vectors: one row per object, with the rig's views in order.

    The last six are NaN if the detector has the regression head, which does not distinguish left and right.
    """
    numbers, positions = pa.list_(pa.float32(), num_views), pa.list_(pa.float32(), 2 * num_views)
    return pa.schema(
        [
            ("object_id", pa.string()),
            ("split", pa.string()),
            ("xy", positions),
            ("xy_true", positions),
            ("target_mm", pa.list_(pa.float32(), 6)),
            ("centre_mm", POINT),
            ("left_xy", positions),
            ("right_xy", positions),
            ("left_spread", numbers),
            ("right_spread", numbers),
            ("left_visible", numbers),
            ("right_visible", numbers),
        ]
    )
