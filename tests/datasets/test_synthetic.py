"""Synthetic bodies and the datasets made of them."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.synthetic import EAR_TIPS, LANDMARKS, Body, make_body, write_dataset
from featurelib.datasets.synthetic.anatomy import Traits
from featurelib.datasets.synthetic.body import MAX_SCALE, MAX_TURN_DEG
from featurelib.datasets.synthetic.distance import Part, ellipsoid, gradient, half_space_below, round_cone, solid
from featurelib.errors import DataError, UsageError
from featurelib.geometry import Alignment, LandmarkSet, View
from featurelib.meshes.surface import closest_points

SEEDS = range(6)
Z_UP_INCH = Alignment(rotations_wxyz=((np.sqrt(0.5), -np.sqrt(0.5), 0.0, 0.0), (0.9, 0.1, -0.4, 0.2)), scale=1.25)


@pytest.fixture(scope="module")
def bodies() -> list[Body]:
    return [make_body(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def traits() -> list[Traits]:
    return [Traits.draw(np.random.default_rng(seed)) for seed in range(100)]


def _bytes(body: Body) -> bytes:
    return body.vertices_mm.tobytes() + body.faces.tobytes() + body.landmarks_mm.tobytes()


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _num_surfaces_before(body: Body, point: NDArray[np.float64], azimuth_deg: float) -> int:
    """Count the triangles more than 1 mm in front of a point, for a distant viewer at this azimuth."""
    in_view = (body.vertices_mm - point) @ View(azimuth_deg).object_from_view
    a, b, c = (in_view[body.faces[:, corner]] for corner in range(3))
    doubled = np.stack([q[:, 0] * r[:, 1] - q[:, 1] * r[:, 0] for q, r in ((b, c), (c, a), (a, b))], axis=-1)
    covers = (doubled > 0).all(axis=-1) | (doubled < 0).all(axis=-1)
    weights = doubled[covers] / doubled[covers].sum(axis=-1, keepdims=True)
    heights = np.stack([a[covers, 2], b[covers, 2], c[covers, 2]], axis=-1)
    return int(((weights * heights).sum(axis=-1) > 1.0).sum())


class TestBody:
    def test_same_seed_gives_same_bytes(self) -> None:
        """A seed gives the same body to the byte, as a number or as a generator; another seed gives another body."""
        first, again, by_generator = make_body(3), make_body(3), make_body(np.random.default_rng(3))

        assert _bytes(first) == _bytes(again) == _bytes(by_generator)
        assert _bytes(first) != _bytes(make_body(4))

    def test_types_and_sizes_are_as_documented(self, bodies: list[Body]) -> None:
        """Arrays have the documented types; bodies have the size of a head and 6,000 to 16,000 faces."""
        for body in bodies:
            extent = np.ptp(body.vertices_mm, axis=0)

            assert (np.float32, np.int32, np.float64) == (
                body.vertices_mm.dtype,
                body.faces.dtype,
                body.landmarks_mm.dtype,
            )
            assert body.landmarks_mm.shape == (2, 3)
            assert 6_000 < len(body.faces) < 16_000
            assert (extent > 150).all()
            assert (extent < 300).all()

    def test_is_one_closed_surface_without_handles(self, bodies: list[Body]) -> None:
        """Each edge is used once in each direction, the Euler number is 2, and faces are oriented outwards."""
        for body in bodies:
            edges = np.concatenate([body.faces[:, [i, (i + 1) % 3]] for i in range(3)])
            forwards, backwards = ({tuple(edge) for edge in way.tolist()} for way in (edges, edges[:, ::-1]))
            a, b, c = (body.vertices_mm[body.faces[:, corner]].astype(np.float64) for corner in range(3))

            assert len(edges) == len(forwards)
            assert forwards == backwards
            assert len(body.vertices_mm) - len(edges) // 2 + len(body.faces) == 2
            assert (a * np.cross(b, c)).sum() / 6 > 1e6  # mm^3; negative if the faces were oriented inwards

    def test_finer_resolution_shows_the_same_body(self, bodies: list[Body]) -> None:
        """The resolution changes only the triangles: pair and pose are equal, and the surfaces agree to 1 mm."""
        coarse, fine = bodies[0], make_body(0, resolution_mm=4.0)
        _, distances_mm, _ = closest_points(coarse.vertices_mm, fine.vertices_mm, fine.faces)

        assert len(fine.faces) > 2 * len(coarse.faces)
        assert coarse.landmarks_mm.tolist() == fine.landmarks_mm.tolist()
        assert distances_mm.max() < 1.0


class TestLandmark:
    def test_lies_on_the_mesh(self, bodies: list[Body]) -> None:
        """Both landmarks are on the triangles, up to the rounding of float32."""
        for body in bodies:
            _, distances_mm, _ = closest_points(body.landmarks_mm, body.vertices_mm, body.faces)

            assert distances_mm.max() < 1e-4

    def test_lies_on_the_exact_surface(self, traits: list[Traits]) -> None:
        """No joint with another part moves the surface away from a landmark, whatever the traits."""
        for trait in traits:
            assert np.abs(solid(trait.parts(), trait.landmarks_mm(LANDMARKS.names))).max() < 1e-9

    def test_all_landmarks_are_vertices_of_a_sound_mesh(self) -> None:
        """They are in the set's order, on the mesh and where their names say; left and right are apart."""
        for seed in SEEDS:
            body, pair = make_body(seed, landmarks=LANDMARKS), make_body(seed)
            _, distances_mm, _ = closest_points(body.landmarks_mm, body.vertices_mm, body.faces)
            at = dict(zip(LANDMARKS.names, body.landmarks_mm, strict=True))

            assert distances_mm.max() < 1e-4
            np.testing.assert_array_equal(body.landmarks_mm[:2], pair.landmarks_mm)
            assert np.abs(body.vertices_mm - pair.vertices_mm).max() < 6
            assert at["eye_corner_left"][0] - at["eye_corner_right"][0] > 50
            assert at["eye_corner_left"][1] > at["nose_tip"][1] > at["chin"][1]
            assert at["nose_tip"][2] > body.vertices_mm[:, 2].max() - 8
            in_reverse = make_body(seed, landmarks=LandmarkSet(unpaired=LANDMARKS.names[::-1]))
            np.testing.assert_array_equal(in_reverse.landmarks_mm, body.landmarks_mm[::-1])

    def test_is_the_farthest_point_along_the_ears_axis(self, traits: list[Traits]) -> None:
        """At the tip the surface normal is along the ear's axis, so no point nearby is farther out."""
        for trait in traits:
            slopes = gradient(trait.parts(), trait.landmarks_mm(EAR_TIPS.names))
            normals = slopes / np.linalg.norm(slopes, axis=-1, keepdims=True)
            axes = [ear.body_from_ear[:, 1] for ear in (trait.left_ear, trait.right_ear)]

            np.testing.assert_allclose(normals, axes, atol=1e-4)

    def test_left_comes_first(self, bodies: list[Body]) -> None:
        """The left landmark is at larger x, far from the right one."""
        for body in bodies:
            assert body.landmarks_mm[0, 0] - body.landmarks_mm[1, 0] > 120

    def test_is_seen_from_its_own_side_and_hidden_from_the_other(self, bodies: list[Body]) -> None:
        """At azimuth +-90 degrees the head hides the far tip and nothing hides the near one."""
        for body in bodies:
            left, right = body.landmarks_mm

            assert 0 == _num_surfaces_before(body, left, 90) == _num_surfaces_before(body, right, -90)
            assert _num_surfaces_before(body, right, 90) > 0
            assert _num_surfaces_before(body, left, -90) > 0


class TestVariation:
    def test_landmarks_differ_between_bodies_without_their_pose(self, traits: list[Traits]) -> None:
        """In the body's own frame a landmark varies by more than 5 mm (one sigma) along each axis."""
        estimates_mm = np.stack([trait.landmarks_mm(EAR_TIPS.names) for trait in traits])

        assert estimates_mm.std(axis=0).min() > 5

    def test_sides_are_alike_but_not_mirror_images(self, traits: list[Traits]) -> None:
        """The right tip is on average 1 to 10 mm from the mirror image of the left one."""
        left, right = np.stack([trait.landmarks_mm(EAR_TIPS.names) for trait in traits], axis=1)
        off_mm = np.linalg.norm(left * (-1, 1, 1) - right, axis=-1)

        assert off_mm.min() > 0
        assert 1 < off_mm.mean() < 10

    def test_pose_is_random_within_its_limits(self, traits: list[Traits], bodies: list[Body]) -> None:
        """The line between the tips rotates by at most 12 degrees and changes its length by at most 5 %, at random."""
        own = np.stack([np.subtract(*trait.landmarks_mm(EAR_TIPS.names)) for trait in traits[: len(bodies)]])
        posed = np.stack([body.landmarks_mm[0] - body.landmarks_mm[1] for body in bodies])
        own_mm, posed_mm = (np.linalg.norm(lines, axis=-1) for lines in (own, posed))
        turns_deg = np.degrees(np.arccos((own * posed).sum(axis=-1) / own_mm / posed_mm))

        assert turns_deg.max() <= MAX_TURN_DEG
        assert np.abs(posed_mm / own_mm - 1).max() <= MAX_SCALE
        assert np.ptp(turns_deg) > 1
        assert np.ptp(posed_mm / own_mm) > 0.01


class TestSolid:
    @pytest.mark.parametrize(
        ("part", "surface_mm"),
        [
            (ellipsoid((1, 2, 3), (30, 20, 10), blend_mm=1), [(31, 2, 3), (1, -18, 3), (1, 2, 13)]),
            (round_cone((0, 0, 0), (0, 40, 0), (10, 10), blend_mm=1), [(10, 20, 0), (0, 50, 0), (0, 0, -10)]),
            (round_cone((0, 0, 0), (0, 40, 0), (10, 4), blend_mm=1), [(0, 44, 0), (0, -10, 0)]),
        ],
        ids=["ellipsoid", "capsule", "cone"],
    )
    def test_shapes_end_where_they_should(self, part: Part, surface_mm: list[tuple[float, float, float]]) -> None:
        """Known points of a shape have the distance 0, its centre is inside, and 5 mm outwards is 5 mm out."""
        points = np.array(surface_mm, dtype=np.float64)
        slopes = gradient([part], points)

        np.testing.assert_allclose(solid([part], points), 0, atol=1e-9)
        np.testing.assert_allclose(solid([part], points + 5 * slopes), 5, atol=0.7)
        assert solid([part], part.centre_mm[None])[0] < 0

    def test_reach_does_not_move_the_surface(self, traits: list[Traits]) -> None:
        """Leaving out parts beyond their reach moves the surface by less than 0.1 micrometre."""
        for trait in traits[:5]:
            parts = [part for part in trait.parts() if part.joint != "dent"]
            points = _surface_points([replace(part, reach_mm=np.inf) for part in parts])

            assert len(points) > 1000
            np.testing.assert_allclose(solid(parts, points), 0, atol=1e-4)

    def test_carving_leaves_what_is_above(self) -> None:
        """A carved half-space cuts a ball: points below are outside, and the top does not move."""
        parts = [ellipsoid((0, 0, 0), (20, 20, 20), blend_mm=1), half_space_below(-5, blend_mm=2)]
        top, cut, beneath = solid(parts, np.array([(0.0, 20, 0), (0, -5, 0), (0, -10, 0)]))

        assert 0 == pytest.approx(top, abs=1e-9) == pytest.approx(cut, abs=0.4)
        assert pytest.approx(beneath, abs=0.4) == 5


def _surface_points(parts: list[Part]) -> NDArray[np.float64]:
    """Return points (n, 3) all over the surface, by Newton's method from random starting points."""
    points = np.random.default_rng(0).uniform(-150, 130, (2000, 3))
    for _ in range(20):
        slopes = gradient(parts, points)
        steps = solid(parts, points)[:, None] * slopes / np.maximum((slopes**2).sum(axis=-1, keepdims=True), 0.01)
        points = points - np.clip(steps, -20, 20)
    return points[np.abs(solid(parts, points)) < 1e-7]


class TestDataset:
    def test_writing_again_changes_no_byte(self, tmp_path: Path) -> None:
        """Writing a dataset twice into one folder, and into another, gives the same bytes."""
        write_dataset(tmp_path / "a", 2, seed=5)
        first = _digests(tmp_path / "a")
        write_dataset(tmp_path / "a", 2, seed=5)
        write_dataset(tmp_path / "b", 2, seed=5)

        assert {"dataset.json", "landmarks.csv", "meshes/body-00000.ply", "meshes/body-00001.ply"} == set(first)
        assert first == _digests(tmp_path / "a") == _digests(tmp_path / "b")

    def test_bodies_depend_on_seed_and_number_alone(self, tmp_path: Path) -> None:
        """A larger dataset begins with the bodies of a smaller one; another seed has other bodies."""
        write_dataset(tmp_path / "small", 1, seed=5)
        write_dataset(tmp_path / "large", 2, seed=5)
        write_dataset(tmp_path / "other", 1, seed=6)
        small, large, other = (_digests(tmp_path / name) for name in ("small", "large", "other"))

        assert small["meshes/body-00000.ply"] == large["meshes/body-00000.ply"]
        assert len({*large.values(), *other.values()} - {large["dataset.json"]}) == 5

    @pytest.mark.parametrize(("unit", "alignment"), [("mm", None), ("cm", None), ("inch", Z_UP_INCH), ("m", Z_UP_INCH)])
    def test_reads_back_to_the_same_millimetres(self, tmp_path: Path, unit: str, alignment: Alignment | None) -> None:
        """Reading the files gives the body in mm, for all units and alignments of the files."""
        write_dataset(tmp_path, 1, seed=2, unit=unit, alignment=alignment)
        body = make_body(np.random.default_rng([2, 0]))
        dataset = open_dataset(str(tmp_path))
        (row,) = dataset.objects.to_pylist()
        mesh = dataset.load(dataset.files[row["object_id"]])
        source_pair = np.reshape(row["landmarks"], (-1, 3))
        object_from_source = dataset.object_from_source

        assert (unit, EAR_TIPS) == (dataset.unit, dataset.landmarks)
        assert body.faces.tolist() == mesh.faces.tolist()
        np.testing.assert_allclose(mesh.vertices_mm, body.vertices_mm, atol=1e-4)
        landmarks_mm = source_pair @ object_from_source[:3, :3].T + object_from_source[:3, 3]
        np.testing.assert_allclose(landmarks_mm, body.landmarks_mm, atol=1e-5)

    def test_a_set_is_written_with_its_names(self, tmp_path: Path) -> None:
        """One row per point, and the whole set in dataset.json."""
        write_dataset(tmp_path, 2, seed=2, unit="cm", landmarks=LANDMARKS)
        dataset = open_dataset(str(tmp_path))
        body = make_body(np.random.default_rng([2, 1]), landmarks=LANDMARKS)
        points = np.reshape(dataset.objects["landmarks"].to_pylist(), (2, 6, 3))

        assert (dataset.landmarks, dataset.landmarks.outlines) == (LANDMARKS, LANDMARKS.outlines)
        assert dataset.landmarks.definitions == LANDMARKS.definitions
        np.testing.assert_allclose(10 * points[1], body.landmarks_mm, atol=1e-5)

    def test_alignment_is_undone_not_done(self, tmp_path: Path) -> None:
        """In a z-up file, the body's up is the file's z: (x, y, z) of the object is (x, -z, y) in the file."""
        write_dataset(tmp_path, 1, alignment=Alignment(((np.sqrt(0.5), -np.sqrt(0.5), 0.0, 0.0),)))
        (row,) = open_dataset(str(tmp_path)).objects.to_pylist()
        x, y, z = make_body(np.random.default_rng([0, 0])).landmarks_mm[0]

        np.testing.assert_allclose(row["landmarks"][:3], (x, -z, y), atol=1e-5)

    def test_progress_counts_bodies(self, tmp_path: Path) -> None:
        """Progress is reported after each body."""
        reported: list[int] = []
        write_dataset(tmp_path, 3, progress=reported.append)

        assert reported == [1, 2, 3]

    def test_refuses_a_folder_with_other_meshes(self, tmp_path: Path) -> None:
        """A mesh of another dataset is an error, since it would join this one without labels."""
        write_dataset(tmp_path, 2)
        with pytest.raises(UsageError, match=r"meshes: holds body-00001\.ply, .* choose an empty folder"):
            write_dataset(tmp_path, 1)

    @pytest.mark.parametrize(
        ("flags", "error", "message"),
        [
            ({"num_objects": 0}, UsageError, "expected at least 1 object and a seed of at least 0"),
            ({"num_objects": -1}, UsageError, "expected at least 1 object and a seed of at least 0"),
            ({"num_objects": 1, "seed": -1}, UsageError, "expected at least 1 object and a seed of at least 0"),
            ({"num_objects": 1, "unit": "yard"}, DataError, "unit 'yard'"),
        ],
    )
    def test_refuses_impossible_values(self, tmp_path: Path, flags: dict, error: type, message: str) -> None:
        """A number or unit out of range is an error before anything is written."""
        with pytest.raises(error, match=message):
            write_dataset(tmp_path, **flags)

        assert list(tmp_path.iterdir()) == []
