"""Which predictions to reject, by limits on quality scores that need no labels.

A score is a number that is small for a good prediction: how far refinement moved the point, the distance from the
surface, the distance from the registered mean shape. The limits come from validation objects, of which they reject at
most a given share. They detect objects unlike the validation objects. Whether they detect wrong predictions depends on
the scores, so a report should give the errors of accepted and of rejected objects.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import DataError
from featurelib.geometry import SIDES

SHARE = 0.05
"""Share of validation objects beyond the limits that SLACK then widens."""

SLACK = 2.0
"""The limits are this many times as far from the median as those that reject SHARE.

Among objects like the validation objects, no score separated wrong predictions from right ones: rank correlations with
the error were below 0.4. The tightest limits rejected 8 of 49 sound heads, whose errors were 1.5 times the others'.
Corrupted objects have far larger scores: at twice the distance, all 22 of `python -m jobs.experiments corruptions` were
rejected.
"""

MOST_DECIMALS = 6


@dataclass(frozen=True)
class ScoreText:
    """A score in words: the `message` before its value, e.g. "the last stage moved the point by", and its unit."""

    message: str
    unit: str = "mm"


@dataclass(frozen=True)
class Limit:
    """The largest accepted value of a score.

    score: its name. limit: in the score's unit. text: the score in words, for reasons.
    """

    score: str
    limit: float
    text: ScoreText

    def reason(self, value: float) -> str:
        """Return why a value beyond the limit is rejected; NaN is beyond any limit.

        The limit has two significant digits, or as many more as are needed to tell it from the value.
        """
        unit = f" {self.text.unit}" if self.text.unit else ""
        two_digits = int(np.clip(1 - np.floor(np.log10(max(self.limit, 1e-9))), 0, MOST_DECIMALS))
        if not np.isfinite(value):
            return f"{self.text.message} an unknown amount, expected at most {self.limit:.{two_digits}f}{unit}"
        decimals = range(two_digits, MOST_DECIMALS + 1)
        texts = [(f"{value:.{digits}f}", f"{self.limit:.{digits}f}") for digits in decimals]
        found, limit = next((pair for pair in texts if pair[0] != pair[1]), texts[-1])
        return f"{self.text.message} {found}{unit}, more than {limit}{unit}"


@dataclass(frozen=True)
class AcceptRule:
    """Limits on the scores of a prediction. It is accepted if no score is beyond its limit.

    limits: of the scores. num_objects: validation objects behind them. num_rejected: how many of those it rejects.
    exact: False if there were too few objects for the share; the limits are then beyond all values seen.
    """

    limits: tuple[Limit, ...]
    num_objects: int
    num_rejected: int
    exact: bool

    def reason(self, scores: Mapping[str, ArrayLike]) -> str:
        """Return why one object is rejected; empty if it is accepted.

        Args:
            scores: by name, one number or (2,) numbers in the order of SIDES; NaN is beyond any limit.

        Raises:
            DataError: if a score of the rule is missing.
        """
        reasons = []
        for limit in self.limits:
            if limit.score not in scores:
                raise DataError(f"accept rule: score {limit.score!r} is missing; given: {', '.join(scores) or 'none'}")
            values = np.atleast_1d(np.asarray(scores[limit.score], dtype=np.float64))
            at = int(np.where(np.isfinite(values), values, np.inf).argmax())
            if not values[at] <= limit.limit:
                side = f"{SIDES[at]}: " if len(values) == len(SIDES) else ""
                reasons.append(side + limit.reason(float(values[at])))
        caveat = "" if self.exact or not reasons else f" (limits from only {self.num_objects} validation objects)"
        return "; ".join(reasons) + caveat

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {"limits": [asdict(limit) for limit in self.limits]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the rule that `to_dict` wrote.

        Raises:
            DataError: if `to_dict` cannot have written the values.
        """
        try:
            limits = (
                Limit(each["score"], float(each["limit"]), ScoreText(**each["text"])) for each in values["limits"]
            )
            return cls(tuple(limits), int(values["num_objects"]), int(values["num_rejected"]), bool(values["exact"]))
        except (TypeError, KeyError, ValueError) as error:
            raise DataError(f"accept rule: unreadable ({error!r}); train the run's models again") from None


def fit_accept_rule(
    scores: Mapping[str, ArrayLike], texts: Mapping[str, ScoreText], *, share: float = SHARE, slack: float = SLACK
) -> AcceptRule:
    """Return limits `slack` times as far from the medians as those that reject `share` of the validation objects.

    All limits are equally far from their score's median, in units of the score's spread (median to ninth decile). So an
    object is rejected by its worst score. Without slack, with k of n objects rejected, new objects like these are
    rejected with a probability of about (k + 1) / (n + 1): 6.9 % of 20,000 simulated objects, with three scores and a
    rule of 5 % from 60 objects. With fewer than 1 / share objects, none may be rejected, and the range of good
    predictions is not known. The limit is then the largest value seen, plus its distance from the median or from zero,
    whichever is larger.

    Args:
        scores: by name, (n,) or (n, p) of n validation objects; infinite or NaN where not known.
        texts: by name; a score without a text appears by its name.
        share: 0 to 1.
        slack: at least 1.

    Raises:
        DataError: if there is no score, if numbers of objects differ, or if a score is unknown for too many of them.
    """
    if not scores:
        raise DataError("accept rule: no scores; expected at least one")
    worst = {name: _worst(values) for name, values in scores.items()}
    counts = {len(values) for values in worst.values()}
    num_objects = counts.pop()
    if counts or not num_objects:
        raise DataError("accept rule: scores of different numbers of objects, or of none; expected one row per object")
    budget = int(np.floor(share * num_objects + 1e-9))
    table = np.stack(list(worst.values()))  # (s, n)
    unknown = np.isinf(table)
    if unknown.any(axis=0).sum() > budget:
        most = int(unknown.sum(axis=1).argmax())
        raise DataError(
            f"accept rule: score {list(worst)[most]!r} is unknown for {int(unknown[most].sum())} of {num_objects}"
            f" validation objects, more than the rule may reject ({budget}); leave the score out"
        )
    limits = _limits(table, budget, slack) if budget else _beyond(table)
    rejected = int((table > limits[:, None]).any(axis=0).sum())
    chosen = [
        Limit(name, float(limit), texts.get(name, ScoreText(f"{name} is", "")))
        for name, limit in zip(worst, limits, strict=True)
    ]
    return AcceptRule(tuple(chosen), num_objects, rejected, exact=budget > 0)


def _limits(table: NDArray[np.float64], budget: int, slack: float) -> NDArray[np.float64]:
    """Return limits (s,) `slack` times as far from the medians of scores (s, n) as those that reject `budget` of n."""
    middle = np.quantile(table, 0.5, axis=1, method="lower")
    spread = np.quantile(table, 0.9, axis=1, method="lower") - middle
    largest = np.where(np.isfinite(table), table, -np.inf).max(axis=1) - middle
    spread = np.where(spread > 0, spread, np.where(largest > 0, largest, np.fmax(np.abs(middle), 1e-9)))
    distances = ((table - middle[:, None]) / spread[:, None]).max(axis=0)
    scale = slack * np.sort(distances)[-1 - budget]
    return np.asarray((middle + scale * spread) * (1 + 1e-12 * np.sign(middle + scale * spread)))  # for rounding errors


def _beyond(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return limits (s,) well beyond all scores (s, n)."""
    largest, middle = table.max(axis=1), np.median(table, axis=1)
    return np.asarray(largest + np.maximum(largest - middle, np.abs(largest)))


def _worst(values: ArrayLike) -> NDArray[np.float64]:
    """Return the largest value (n,) of each object's instances (n,) or (n, p); NaN counts as infinite."""
    table = np.asarray(values, dtype=np.float64)
    table = table.reshape(len(table), -1) if table.size else np.empty((0, 1))
    return np.asarray(np.where(np.isfinite(table), table, np.inf).max(axis=1))
