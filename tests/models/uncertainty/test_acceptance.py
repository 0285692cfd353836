"""Accepting predictions by limits on scores."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurelib.errors import DataError
from featurelib.models.uncertainty.acceptance import AcceptRule, Limit, ScoreText, fit_accept_rule

SCORE_TEXTS = {
    "move": ScoreText("the last stage moved the point by"),
    "spread": ScoreText("the rays miss each other by"),
    "snap": ScoreText("the rays meet off the surface by"),
}


def _scores(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return three scores (count, 2) that have something in common."""
    random = np.random.default_rng(seed)
    common = random.gamma(2, size=(count, 1))
    return {name: random.gamma(2, size=(count, 2)) + common for name in SCORE_TEXTS}


def _accepted(rule: AcceptRule, scores: dict[str, np.ndarray]) -> np.ndarray:
    """Return for each object (n,) whether there is no reason to reject it."""
    rows = zip(*scores.values(), strict=True)
    return np.array([not rule.reason(dict(zip(scores, row, strict=True))) for row in rows])


@given(st.integers(20, 200), st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.1, 0.3]))
@settings(deadline=None, max_examples=40)
def test_at_most_the_stated_share_of_its_own_objects_is_rejected(count, seed, share) -> None:
    """All scores together stay within the share, and use it up but for one object per score."""
    scores = _scores(count, seed)

    rule = fit_accept_rule(scores, SCORE_TEXTS, share=share, slack=1)

    rejected = int((~_accepted(rule, scores)).sum())
    assert rejected == rule.num_rejected <= share * count
    assert rejected > int(share * count + 1e-9) - len(SCORE_TEXTS)
    assert rule.exact


def test_slack_moves_the_limits_away_from_the_medians() -> None:
    """With twice the distance, fewer are rejected."""
    scores = _scores(100)
    tight, loose = (fit_accept_rule(scores, SCORE_TEXTS, slack=slack) for slack in (1, 2))

    for name, near, far in zip(scores, tight.limits, loose.limits, strict=True):
        middle = np.quantile(scores[name].max(axis=1), 0.5, method="lower")
        assert far.limit - middle == pytest.approx(2 * (near.limit - middle))
    assert loose.num_rejected < tight.num_rejected == 5


def test_new_objects_are_rejected_about_as_often() -> None:
    """On objects of the same kind the share stays near the stated one: 5 % asked for, at most 8 % on average."""
    shares = [
        (~_accepted(fit_accept_rule(_scores(60, 2 * seed), SCORE_TEXTS, slack=1), _scores(200, 2 * seed + 1))).mean()
        for seed in range(60)
    ]

    assert 0.02 < np.mean(shares) < 0.08


def test_a_far_value_is_rejected_with_its_reason() -> None:
    """The reason names side, value and limit; an accepted object has none."""
    rule = AcceptRule((Limit("move", 2.3, SCORE_TEXTS["move"]),), 60, 3, True)

    assert rule.reason({"move": 4.1}) == "the last stage moved the point by 4.1 mm, more than 2.3 mm"
    assert rule.reason({"move": [1.0, 4.1]}) == "right: the last stage moved the point by 4.1 mm, more than 2.3 mm"
    assert rule.reason({"move": [2.3, 0.0]}) == ""
    small = Limit("unseen", 0.0042, ScoreText("the doubt is", ""))
    assert small.reason(0.19) == "the doubt is 0.1900, more than 0.0042"
    assert (
        Limit("rotation", 46.9, ScoreText("rotated by", "degrees")).reason(79.3)
        == "rotated by 79 degrees, more than 47 degrees"
    )
    assert rule.reason({"move": 2.301}) == "the last stage moved the point by 2.301 mm, more than 2.300 mm"


def test_an_unknown_score_is_not_accepted() -> None:
    """NaN and infinity are beyond any limit."""
    rule = fit_accept_rule({"move": np.arange(60.0)}, SCORE_TEXTS, slack=1)

    assert _accepted(rule, {"move": np.array([0, np.nan, np.inf])}).tolist() == [True, False, False]
    assert (
        rule.reason({"move": np.nan}) == "the last stage moved the point by an unknown amount, expected at most 56 mm"
    )


@pytest.mark.parametrize("count", [1, 5, 19])
def test_few_objects_give_wide_limits_with_a_caveat(count) -> None:
    """None of them may be rejected, the limits are well beyond all values seen, and reasons give their number."""
    scores = _scores(count)
    rule = fit_accept_rule(scores, SCORE_TEXTS)

    assert not rule.exact
    assert rule.num_rejected == 0
    for limit in rule.limits:
        assert limit.limit >= 1.9 * scores[limit.score].max()
    far = rule.reason(dict.fromkeys(SCORE_TEXTS, 1e6))
    assert far.endswith(f"(limits from only {count} validation objects)")


def test_scores_below_zero_have_limits_beyond_them_too() -> None:
    """A score such as minus the visibility is widened upwards."""
    assert fit_accept_rule({"unseen": [-0.9, -0.8, -0.5]}, {}).limits[0].limit == pytest.approx(0.0)


def test_a_rule_survives_json() -> None:
    """What is written is what is read, including the texts."""
    rule = fit_accept_rule(_scores(40), SCORE_TEXTS)

    assert AcceptRule.from_dict(json.loads(json.dumps(rule.to_dict()))) == rule


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_accept_rule({}, {}), "no scores"),
        (lambda: fit_accept_rule({"a": [1.0], "b": [1.0, 2.0]}, {}), "different numbers of objects"),
        (lambda: fit_accept_rule({"a": []}, {}), "none"),
        (lambda: fit_accept_rule({"a": [np.nan] * 4 + [1.0] * 36}, {}), "'a' is unknown for 4 of 40"),
        (lambda: fit_accept_rule({"a": [np.nan, 1.0]}, {}), "'a' is unknown for 1 of 2"),
        (lambda: fit_accept_rule(_scores(40), SCORE_TEXTS).reason({"move": 1.0}), "'spread' is missing"),
        (lambda: AcceptRule.from_dict({"limits": [{}]}), "models again"),
    ],
)
def test_refuses_what_gives_no_rule(call, message) -> None:
    """Missing and unknown scores raise errors that name the score."""
    with pytest.raises(DataError, match=message):
        call()
