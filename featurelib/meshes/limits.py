"""Limits of a mesh file, checked before parsing it costs memory and time."""

from dataclasses import dataclass, fields

from featurelib.errors import DataError, UsageError

MAX_COORDINATE_MM = 1e7
"""Larger coordinates (10 km) are rejected: they come from a wrong unit or a damaged number."""


@dataclass(frozen=True)
class Limits:
    """Limits of a mesh; a file whose header announces more is rejected before it is parsed.

    max_file_bytes: size of the file. 2 GiB hold 40 million faces of binary STL. Text needs up to 20 times its size
        while it is parsed (1.2 GB for 60 MB); ten million faces are about 600 MB of text.
    max_faces: triangles, after polygons are triangulated and repeated parts are copied. Scanners and CT segmentations
        give at most a few million.
    max_parts: parts of a GLB scene; each takes some tens of microseconds, and ten thousand take less than a second.
    max_json_bytes: JSON of a GLB, which takes up to 25 times its size when parsed: 400 MB.
    max_texture_pixels: all base colour textures together: one of 8192 x 8192, which is 200 MB of RGB.
    min_size_mm, max_size_mm: longest edge of the bounding box after the alignment. The smallest scanned objects have
        0.1 mm and the largest, buildings, 100 m; a wrong unit is usually far outside.
    max_coordinate_mm: distance of a vertex from the origin along an axis, see MAX_COORDINATE_MM.
    max_offset_sizes: the same distance in a file of single precision, in units of the mesh's size. At this limit
        float32 rounds vertices to 1/1700 of the size (0.1 mm of a head); beyond it the surface is visibly stepped.
    max_undefined_share: share of the faces that may have a NaN or infinite corner, and are left out. Scanners
        write a few of them; more are a hole. max_single_share: the same for one face; a NaN vertex is in about 6.
    """

    max_file_bytes: int = 2 * 1024**3
    max_faces: int = 10_000_000
    max_parts: int = 10_000
    max_json_bytes: int = 16 * 1024**2
    max_texture_pixels: int = 8192 * 8192
    min_size_mm: float = 0.1
    max_size_mm: float = 100_000.0
    max_coordinate_mm: float = MAX_COORDINATE_MM
    max_offset_sizes: float = 10_000.0
    max_undefined_share: float = 0.001
    max_single_share: float = 0.005

    def __post_init__(self) -> None:
        """Reject limits that are not positive numbers."""
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise UsageError(f"{field.name} is {getattr(self, field.name)}; expected a positive number")

    @property
    def max_vertices(self) -> int:
        """Three per face, as in a triangle soup; most of a larger number would belong to no face."""
        return 3 * self.max_faces

    def check_counts(self, num_vertices: int, num_faces: int) -> None:
        """Raise DataError if the announced counts are negative or above the limits, or there are no faces."""
        for count, limit, things in (
            (num_faces, self.max_faces, "faces"),
            (num_vertices, self.max_vertices, "vertices"),
        ):
            if count < 0:
                raise DataError(f"{count:,} {things}; expected a positive number (the file is damaged)")
            if count > limit:
                raise DataError(f"{count:,} {things}; expected at most {limit:,} (simplify the mesh)")
        if num_faces == 0:
            raise DataError("no faces; a point cloud cannot be rendered (reconstruct its surface)")
