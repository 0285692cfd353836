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
    """Return for each object (n,) whether there is no reason to reject one of its two landmarks."""
    rows = zip(*scores.values(), strict=True)
    return np.array([not any(rule.reasons(dict(zip(scores, row, strict=True)), 2)) for row in rows])


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
    """The reason has value and limit; an accepted landmark has none, and a score of the object rejects all."""
    rule = AcceptRule((Limit("move", 2.3, SCORE_TEXTS["move"]),), 60, 3, True)

    reason = "the last stage moved the point by 4.1 mm, more than 2.3 mm"
    assert rule.reasons({"move": 4.1}, 3) == (reason,) * 3
    assert rule.reasons({"move": [1.0, 4.1]}, 2) == ("", reason)
    assert rule.reasons({"move": [2.3, 0.0]}, 2) == ("", "")
    small = Limit("unseen", 0.0042, ScoreText("the doubt is", ""))
    assert small.reason(0.19) == "the doubt is 0.1900, more than 0.0042"
    assert (
        Limit("rotation", 46.9, ScoreText("rotated by", "degrees")).reason(79.3)
        == "rotated by 79 degrees, more than 47 degrees"
    )
    assert rule.reasons({"move": 2.301}, 1) == ("the last stage moved the point by 2.301 mm, more than 2.300 mm",)


def test_an_unknown_score_is_not_accepted() -> None:
    """NaN and infinity are beyond any limit."""
    rule = fit_accept_rule({"move": np.arange(60.0)}, SCORE_TEXTS, slack=1)

    assert _accepted(rule, {"move": np.array([0, np.nan, np.inf])}).tolist() == [True, False, False]
    assert (
        rule.reasons({"move": [np.nan, 0.0]}, 2)[0]
        == "the last stage moved the point by an unknown amount, expected at most 56 mm"
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
    far = rule.reasons(dict.fromkeys(SCORE_TEXTS, 1e6), 2)
    assert all(reason.endswith(f"(limits from only {count} validation objects)") for reason in far)


def test_scores_below_zero_have_limits_beyond_them_too() -> None:
    """A score such as minus the visibility is widened upwards."""
    assert fit_accept_rule({"unseen": [-0.9, -0.8, -0.5]}, {}).limits[0].limit == pytest.approx(0.0)


def _set_scores(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return scores of objects (count,), and of ten landmarks (count, 10) whose usual sizes differ fourfold."""
    random = np.random.default_rng(seed)
    sizes = np.linspace(0.5, 2, 10)
    return {"snap": random.gamma(2, size=count), "move": random.gamma(2, size=(count, 10)) * sizes}


CHANNEL = np.array([0, 0, 1, 1, 2, 2, 3, 4, 5, 6])


@pytest.mark.parametrize("count", [9, 40, 150])
def test_the_share_of_rejected_landmarks_is_bounded(count) -> None:
    """Pairs count once; a score of the object counts for all its landmarks."""
    scores = _set_scores(count)

    rule = fit_accept_rule(scores, SCORE_TEXTS, channel=CHANNEL, slack=1)

    assert rule.num_rejected <= 0.05 * count * 7
    assert rule.exact == (count >= 20)
    rows = zip(*scores.values(), strict=True)
    rejected = [bool(r) for row in rows for r in rule.reasons(dict(zip(scores, row, strict=True)), 10)]
    assert np.mean(rejected) <= 0.05


def test_one_limit_serves_landmarks_of_different_size() -> None:
    """Each landmark's limit is in proportion to its usual score, so that each is rejected about as often."""
    rule = fit_accept_rule(_set_scores(400), SCORE_TEXTS, channel=CHANNEL, slack=1)
    new = _set_scores(2000, seed=1)["move"]

    reasons = np.array([[bool(r) for r in rule.reasons({"snap": 0.0, "move": row}, 10)] for row in new])

    factors = np.array(rule.limits[1].factors)
    assert factors[0] == factors[1]
    assert factors[-1] / factors[0] > 3
    assert reasons.mean(axis=0).min() > 0.002
    assert reasons.mean(axis=0).max() < 0.08


def test_a_single_pair_has_no_factors_and_the_same_limits() -> None:
    """Both landmarks of a pair have one channel, which is the default."""
    scores = _scores(40)

    rule = fit_accept_rule(scores, SCORE_TEXTS, channel=[0, 0])

    assert rule == fit_accept_rule(scores, SCORE_TEXTS)
    assert all(limit.factors == () for limit in rule.limits)


def test_landmarks_that_do_not_count_change_nothing() -> None:
    """Scores of unlabelled landmarks may be anything, also unknown."""
    scores = _set_scores(60)
    known = np.random.default_rng(2).random((60, 10)) > 0.2
    wild = {**scores, "move": np.where(known, scores["move"], np.nan)}

    rule = fit_accept_rule(wild, SCORE_TEXTS, channel=CHANNEL, known=known)

    assert rule == fit_accept_rule(scores, SCORE_TEXTS, channel=CHANNEL, known=known)


@pytest.mark.parametrize("scores", [_scores(40), _set_scores(40)], ids=["pair", "set"])
def test_a_rule_survives_json(scores) -> None:
    """What is written is what is read, including texts and factors."""
    rule = fit_accept_rule(scores, SCORE_TEXTS, channel=CHANNEL if "spread" not in scores else None)

    assert AcceptRule.from_dict(json.loads(json.dumps(rule.to_dict()))) == rule


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_accept_rule({}, {}), "no scores"),
        (lambda: fit_accept_rule({"a": [1.0], "b": [1.0, 2.0]}, {}), "different numbers of objects"),
        (lambda: fit_accept_rule({"a": []}, {}), "none"),
        (lambda: fit_accept_rule({"a": [np.nan] * 4 + [1.0] * 36}, {}), "'a' is unknown for 4 of 40"),
        (lambda: fit_accept_rule({"a": [np.nan, 1.0]}, {}), "'a' is unknown for 1 of 2"),
        (lambda: fit_accept_rule(_scores(40), SCORE_TEXTS).reasons({"move": 1.0}, 2), "'spread' is missing"),
        (lambda: AcceptRule.from_dict({"limits": [{}]}), "models again"),
    ],
)
def test_refuses_what_gives_no_rule(call, message) -> None:
    """Missing and unknown scores raise errors that name the score."""
    with pytest.raises(DataError, match=message):
        call()
