"""The page of inferred pairs."""

import re

import numpy as np

from featurelib.datasets.pair_inference import infer_pairs
from featurelib.validation.pairs_sheet import pairs_sheet


def test_the_page_draws_each_landmark_twice_and_lists_the_pairs():
    """Left is at the right, as in a front view; names are escaped, and a landmark without labels is not drawn."""
    left = np.random.default_rng(0).normal(size=(6, 3)) + np.array([3, 0, 0])
    points = np.stack([left, left * (-1, 1, 1)], axis=1).reshape(1, 12, 3)
    names = [f"{k}{side}" for k in range(6) for side in "<>"]
    found = infer_pairs([*names, "never"], np.concatenate([points, np.full((1, 1, 3), np.nan)], axis=1))
    page = pairs_sheet("skulls", found, 1)

    places = {
        role: [float(x) for x in re.findall(rf'<circle class="dot {role}" cx="([0-9.]+)"', page)]
        for role in ("left", "right")
    }
    assert [len(xs) for xs in places.values()] == [12, 12]
    assert min(places["left"]) > max(places["right"])
    assert "<tr><td>0&lt;</td><td>0&gt;</td>" in page
    assert "Left was guessed" in page
    assert page.count("never") == 0


def test_a_shape_without_symmetry_has_no_pairs():
    found = infer_pairs(["a", "b", "c"], np.random.default_rng(0).normal(size=(2, 3, 3)))
    page = pairs_sheet("skulls", found, 2)

    assert "has no mirror symmetry; all landmarks are unpaired" in page
    assert page.count('class="dot unpaired"') == 6
