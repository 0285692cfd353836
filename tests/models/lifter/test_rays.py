import numpy as np
import pytest

from featurelib.datasets.shards import RenderSpec
from featurelib.geometry import DEFAULT_RIG, PROJECTIONS, Alignment, LandmarkSet, Rig, View, near_in_slots
from featurelib.models.lifter.rays import triangulate_landmarks

PAIR = LandmarkSet.single_pair("ear")
MIXED = LandmarkSet((("a_left", "a_right"), ("b_left", "b_right")), midline=("nose",), unpaired=("scar",))
CENTRE_MM = np.array([12.0, -30.0, 45.0])
MIXED_MM = CENTRE_MM + np.array(
    [(72, 5, -14), (-66, 9, -20), (40, 60, 30), (-38, 62, 28), (2, -5, 90), (-30, -40, 60)], float
)
SHAPES_MM = {PAIR: MIXED_MM[:2], MIXED: MIXED_MM}
TILTED_RIG = Rig((View(-60, 20), View(-30, -10), View(0, 0), View(30, -10), View(60, 20)))
EVEN_RIG = Rig.evenly(4, 75.0)
both_sets = pytest.mark.parametrize("landmarks", [PAIR, MIXED], ids=["pair", "mixed"])


def spec_of(projection: str, rig: Rig) -> RenderSpec:
    return RenderSpec("mm", Alignment(), projection, 240.0, 64, rig, "raster")


def near_positions(spec: RenderSpec, landmarks: LandmarkSet = PAIR) -> np.ndarray:
    """Return the exact position (s, v, 2) of each view's near landmark of each slot."""
    landmarks_mm, slots = SHAPES_MM[landmarks], landmarks.slots
    rows = np.arange(len(slots))
    cameras = spec.cameras(CENTRE_MM)
    near = [slots[rows, near_in_slots(camera, landmarks_mm, slots)] for camera in cameras]
    seen = [camera.project(landmarks_mm[chosen]) for camera, chosen in zip(cameras, near, strict=True)]
    return np.stack(seen, axis=1)


@both_sets
@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("rig", [DEFAULT_RIG, TILTED_RIG, EVEN_RIG], ids=["default", "tilted", "even"])
def test_exact_positions_give_the_landmarks_back(projection, rig, landmarks):
    """All landmarks are exact, for any symmetric rig and both projections."""
    spec = spec_of(projection, rig)

    found = triangulate_landmarks(near_positions(spec, landmarks), CENTRE_MM, spec, landmarks)

    assert found == pytest.approx(SHAPES_MM[landmarks], abs=1e-7)


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("garbage", [(0.0, 0.0), (1e6, -1e6), (np.nan, np.nan)])
def test_the_exact_front_view_is_not_used(projection, garbage):
    """Either of a pair may be the near one in the front view: any position there gives the same result."""
    spec = spec_of(projection, DEFAULT_RIG)
    xy = near_positions(spec)
    expected = triangulate_landmarks(xy, CENTRE_MM, spec, PAIR)

    xy[:, 4] = garbage

    assert triangulate_landmarks(xy, CENTRE_MM, spec, PAIR) == pytest.approx(expected, abs=1e-12)


def test_each_landmark_depends_only_on_its_own_side_and_slot():
    """An error in views of the right side moves the right landmark of its slot; one without a side uses all views."""
    spec = spec_of("orthographic", DEFAULT_RIG)
    xy = near_positions(spec, MIXED)
    xy[0, :4] += 0.01
    xy[2, :4] += 0.01

    found = triangulate_landmarks(xy, CENTRE_MM, spec, MIXED)

    moved = np.linalg.norm(found - MIXED_MM, axis=1)
    assert (moved > 0.5).tolist() == [False, True, False, False, True, False]
    assert moved[[0, 2, 3, 5]] == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("views", [1, 2, 3])
def test_a_side_with_one_view_gives_no_landmark_of_a_pair(views):
    """Two views per side are required; those without a side use all views."""
    spec = spec_of("orthographic", Rig.evenly(views, 90.0 if views > 1 else 0.0))

    found = triangulate_landmarks(near_positions(spec, MIXED), CENTRE_MM, spec, MIXED)

    assert np.isnan(found[:4]).all()
    assert np.isnan(found[4:]).all() == (views < 3)  # two views from opposite sides are parallel


def test_parallel_views_give_no_landmark():
    """Two views of a side from the same angle have no depth."""
    spec = spec_of("orthographic", Rig((View(-40), View(-40), View(40), View(40))))

    assert np.isnan(triangulate_landmarks(near_positions(spec), CENTRE_MM, spec, PAIR)).all()


def test_a_missing_position_costs_its_view_only():
    """A NaN of one slot in one view changes no other landmark, and the rest of its own views suffice."""
    spec = spec_of("perspective", DEFAULT_RIG)
    xy = near_positions(spec, MIXED)
    xy[1, 7] = np.nan

    assert triangulate_landmarks(xy, CENTRE_MM, spec, MIXED) == pytest.approx(MIXED_MM, abs=1e-7)


def test_a_wrong_number_of_positions_is_an_error():
    """There is one position per view of the rig."""
    spec = spec_of("orthographic", DEFAULT_RIG)

    with pytest.raises(ValueError, match=r"zip|broadcast"):
        triangulate_landmarks(np.full((1, 8, 2), 0.5), CENTRE_MM, spec, PAIR)
