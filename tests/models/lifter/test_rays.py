import numpy as np
import pytest

from featurelib.datasets.shards import RenderSpec
from featurelib.errors import GeometryError
from featurelib.geometry import DEFAULT_RIG, PROJECTIONS, SIDES, Alignment, Rig, View
from featurelib.models.lifter.rays import triangulate_landmarks

CENTRE_MM = np.array([12.0, -30.0, 45.0])
PAIR_MM = CENTRE_MM + np.array([(72.0, 5.0, -14.0), (-66.0, 9.0, -20.0)])
TILTED_RIG = Rig((View(-60, 20), View(-30, -10), View(0, 0), View(30, -10), View(60, 20)))
EVEN_RIG = Rig.evenly(4, 75.0)


def spec_of(projection: str, rig: Rig) -> RenderSpec:
    return RenderSpec("mm", Alignment(), projection, 240.0, 64, rig, "raster")


def near_positions(spec: RenderSpec) -> np.ndarray:
    """Return the position (v, 2) of each view's near instance; in the front view of the left one."""
    cameras = spec.cameras(CENTRE_MM)
    sides = [SIDES.index(view.near_side or "left") for view in spec.rig.views]
    return np.stack([camera.project(PAIR_MM[side]) for camera, side in zip(cameras, sides, strict=True)])


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("rig", [DEFAULT_RIG, TILTED_RIG, EVEN_RIG], ids=["default", "tilted", "even"])
def test_exact_positions_give_the_landmarks_back(projection, rig):
    """Both landmarks are exact, for any symmetric rig and both projections."""
    spec = spec_of(projection, rig)

    assert triangulate_landmarks(near_positions(spec), CENTRE_MM, spec) == pytest.approx(PAIR_MM, abs=1e-7)


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("garbage", [(0.0, 0.0), (1e6, -1e6), (np.nan, np.nan)])
def test_the_exact_front_view_is_not_used(projection, garbage):
    """Either instance may be the near one in the front view: any position there gives the same result."""
    spec = spec_of(projection, DEFAULT_RIG)
    xy = near_positions(spec)
    expected = triangulate_landmarks(xy, CENTRE_MM, spec)

    xy[4] = garbage

    assert (triangulate_landmarks(xy, CENTRE_MM, spec) == expected).all()


def test_each_instance_depends_only_on_its_own_side():
    """An error in views of the right side moves only the right landmark."""
    spec = spec_of("orthographic", DEFAULT_RIG)
    xy = near_positions(spec)
    xy[:4] += 0.01

    left, right = triangulate_landmarks(xy, CENTRE_MM, spec)

    assert left == pytest.approx(PAIR_MM[0], abs=1e-7)
    assert np.linalg.norm(right - PAIR_MM[1]) > 1


@pytest.mark.parametrize("views", [1, 2, 3])
def test_a_side_with_one_view_is_rejected(views):
    """Two views per side are required; the message has the number of views."""
    spec = spec_of("orthographic", Rig.evenly(views, 90.0 if views > 1 else 0.0))

    with pytest.raises(GeometryError, match=r"the rig has [01] views of the left side; triangulation needs two"):
        triangulate_landmarks(np.full((views, 2), 0.5), CENTRE_MM, spec)


def test_parallel_views_are_rejected():
    """Two views of a side from the same angle have no depth."""
    spec = spec_of("orthographic", Rig((View(-40), View(-40), View(40), View(40))))

    with pytest.raises(GeometryError, match="parallel"):
        triangulate_landmarks(near_positions(spec), CENTRE_MM, spec)


def test_a_wrong_number_of_positions_is_an_error():
    """There is one position per view of the rig."""
    spec = spec_of("orthographic", DEFAULT_RIG)

    with pytest.raises(ValueError, match="zip"):
        triangulate_landmarks(np.full((8, 2), 0.5), CENTRE_MM, spec)
