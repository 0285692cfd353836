"""How much of a mesh file is believed, before it may cost memory and time."""

from dataclasses import dataclass, fields

from featurelib.errors import DataError, UsageError

MAX_COORDINATE_MM = 1e7
"""Coordinates beyond this (10 km) are refused: no object is there, and a wrong unit or a broken number is."""


@dataclass(frozen=True)
class Limits:
    """What a mesh may be; a file beyond it is refused by the numbers that it announces, before it is parsed.

    max_file_bytes: the file. 2 GiB holds 40 million faces of binary STL. Text needs up to 20 times its size while
        it is parsed (1.2 GB for 60 MB), but ten million faces of it are about 600 MB.
    max_faces: triangles, after polygons are cut into triangles and parts repeated. Scanners and CT segmentations
        give at most a few million.
    max_parts: pieces of a GLB scene; each costs some tens of microseconds, so ten thousand are under a second.
    max_json_bytes: the description in a GLB. JSON takes up to 25 times its size when parsed: 400 MB.
    max_texture_pixels: all base colour textures together: one of 8192 x 8192, 200 MB when decoded to RGB.
    min_size_mm, max_size_mm: the longest side of the bounding box after the alignment. The smallest things that
        anybody scans have 0.1 mm and the largest, buildings, 100 m; units mixed up lead far beyond.
    max_coordinate_mm: distance of a vertex from the origin along an axis, see MAX_COORDINATE_MM.
    max_offset_sizes: the same, in sizes of the mesh. Vertices are float32: this far out they are rounded to 1/1700
        of the size (0.1 mm of a head), and farther out the surface becomes stairs.
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

    def __post_init__(self) -> None:
        """Refuse limits that nothing can keep."""
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise UsageError(f"{field.name} is {getattr(self, field.name)}; expected a positive number")

    @property
    def max_vertices(self) -> int:
        """Three for each face, as in a triangle soup: of more, most belong to no face."""
        return 3 * self.max_faces

    def check_counts(self, num_vertices: int, num_faces: int) -> None:
        """Raise DataError if these announced counts are negative, nothing or too many."""
        for count, limit, things in (
            (num_faces, self.max_faces, "faces"),
            (num_vertices, self.max_vertices, "vertices"),
        ):
            if count < 0:
                raise DataError(f"{count:,} {things}; expected a positive number (the file is damaged)")
            if count > limit:
                raise DataError(f"{count:,} {things}; expected at most {limit:,} (simplify the mesh)")
        if num_faces == 0:
            raise DataError("no faces; a point cloud cannot be rendered (make a surface of it)")
