"""Logits of presence as probabilities."""

import numpy as np

from featurelib.models.refiner.presence import Presence


def test_the_probability_is_the_share_of_present_landmarks() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, 20_000)
    present = random.uniform(size=logits.size) < 1 / (1 + np.exp(-(0.5 * logits + 1)))
    logits[:3] = np.nan
    fit = Presence.fit(logits, present)

    assert np.allclose(fit, (0.5, 1.0), atol=0.05)
    found = fit.probability(logits)
    assert np.isnan(found[:3]).all()
    near = np.abs(found - 0.7) < 0.05
    assert abs(present[near].mean() - 0.7) < 0.05


def test_separable_logits_give_a_finite_fit() -> None:
    fit = Presence.fit(np.array([-9.0, -8.0, 7.0, 9.0]), np.array([False, False, True, True]))

    assert np.isfinite(fit).all()
    assert fit.probability(np.array([-9.0, 9.0])).round().tolist() == [0, 1]
    assert Presence.from_dict(fit._asdict()) == fit
