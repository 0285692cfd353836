"""Crops that landmarks share."""

import numpy as np

from featurelib.geometry import LandmarkSet, View
from featurelib.models.refiner.directions import BAND_VIEWS, Directions
from featurelib.models.refiner.shots import TOGETHER, _shown, candidate_shots, choose_shots, landmark_groups
from featurelib.models.refiner.sides import refined_sides

WIDTH = 40.0
PAIR = refined_sides(LandmarkSet.single_pair("a"))


def _chosen(views, variances, count) -> list[int]:
    """Return the shots of one channel from these views."""
    shots = candidate_shots([(0,)], Directions(tuple(views), np.ones((1, len(views)), bool)))
    return choose_shots(shots, np.array(variances)[:, None], PAIR, np.zeros((1, 3)), WIDTH, count)


def test_views_are_chosen_for_their_errors_and_their_angles() -> None:
    views = [View(0.0), View(5.0), View(90.0), View(95.0)]

    assert _chosen(views, [1.0, 1.1, 1.2, 9.0], 2) == [0, 2]
    assert sorted(_chosen(views, [1.0, 1.0, 1.0, 1.0], 9)) == [0, 1, 2, 3]


def test_every_known_landmark_is_in_one_group_near_its_middle() -> None:
    points = np.random.default_rng(0).uniform(-60, 60, (50, 3)) * (1, 1, 0.1)
    points[7] = np.nan
    groups = landmark_groups(points, WIDTH)

    assert sorted(sum(groups, ())) == [i for i in range(50) if i != 7]
    assert len(groups) < 40
    for group in groups:
        chosen = points[list(group)]
        assert np.linalg.norm(chosen[:, None] - chosen, axis=-1).min(axis=0).max() == 0
        assert (np.linalg.norm(chosen[:, None] - chosen, axis=-1).max(axis=1).min()) <= TOGETHER * WIDTH


def test_few_shared_shots_show_each_landmark_from_two_directions() -> None:
    """Thirty landmarks within one crop need no more shots than one landmark; apart, each group has its own."""
    sides = refined_sides(LandmarkSet(unpaired=tuple(f"p{i}" for i in range(30))))
    random, directions = np.random.default_rng(0), Directions(BAND_VIEWS, np.ones((30, len(BAND_VIEWS)), bool))
    for reach, fewest in ((2.0, 1), (50.0, 5)):
        points = random.uniform(-reach, reach, (30, 3))
        groups = landmark_groups(points, WIDTH)
        shots = candidate_shots(groups, directions)
        chosen = choose_shots(shots, np.ones((len(shots), 30)), sides, points, WIDTH, 3 * len(groups))

        assert len(groups) >= fewest
        for shown in _shown(shots, points, WIDTH)[chosen].T:
            assert len({shots[i].view for i, is_shown in zip(chosen, shown, strict=True) if is_shown}) >= 2


def test_the_first_shots_show_every_landmark_twice() -> None:
    sides = refined_sides(LandmarkSet(unpaired=tuple(f"p{i}" for i in range(6))))
    points = np.arange(6)[:, None] * [100.0, 0, 0]
    shots = candidate_shots(landmark_groups(points, WIDTH), Directions(BAND_VIEWS, np.ones((6, len(BAND_VIEWS)), bool)))
    chosen = choose_shots(shots, np.ones((len(shots), 6)), sides, points, WIDTH, 12)

    assert sorted(shots[i].aim for i in chosen) == [(i,) for i in range(6) for _ in range(2)]


def test_a_midline_landmark_needs_one_oblique_shot_of_both_sides() -> None:
    """The mirror image is read too, so the same view gives two directions; a frontal one would give one."""
    sides = refined_sides(LandmarkSet((("l", "r"),), ("m",)))
    points = np.array([[np.nan] * 3, [0.0, 0, 0]])
    views = (View(0.0), View(45.0))
    shots = candidate_shots([(1,)], Directions(views, np.ones((2, 2), bool)))

    assert choose_shots(shots, np.ones((2, 2)), sides, points, WIDTH, 1) == [1]
