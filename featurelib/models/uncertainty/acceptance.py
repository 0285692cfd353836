"""Which answers to hand back as doubtful, and why, by limits on scores that need no labels.

A score is a number that is small where all is well: how far the second look moved the point, the spread over
disturbed starts, the distance from the surface, the disagreement with the template. Limits come from validation
objects, at most a stated share of which they reject. They catch answers that are unlike the validation ones; whether
they catch the wrong ones depends on the scores, so that a rule's report should give the errors of accepted and of
rejected objects.
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
"""How much farther from the median the limits are than those that reject SHARE.

Of objects like the validation ones no score told the wrong answers from the right (rank correlations with the error
below 0.4), and the tightest limits rejected 8 of 49 sound heads, whose errors were 1.5 times the others'. Objects that
are corrupted stand out by far: with twice the distance all 22 of `python -m jobs.experiments corruptions` were
rejected.
"""

MOST_DECIMALS = 6


@dataclass(frozen=True)
class ScoreText:
    """How a score is put into words: `says` before its value, e.g. "the two looks disagree by", and its unit."""

    says: str
    unit: str = "mm"


@dataclass(frozen=True)
class Limit:
    """The largest value of a score that is accepted.

    score: its name. limit: in its unit. wording: for reasons.
    """

    score: str
    limit: float
    wording: ScoreText

    def reason(self, value: float) -> str:
        """Return why a value beyond the limit is doubtful; a value that is not a number is beyond any.

        The limit is given to two digits, or to as many more as tell the value from it.
        """
        unit = f" {self.wording.unit}" if self.wording.unit else ""
        two_digits = int(np.clip(1 - np.floor(np.log10(max(self.limit, 1e-9))), 0, MOST_DECIMALS))
        if not np.isfinite(value):
            return f"{self.wording.says} an unknown amount, expected at most {self.limit:.{two_digits}f}{unit}"
        decimals = range(two_digits, MOST_DECIMALS + 1)
        texts = [(f"{value:.{digits}f}", f"{self.limit:.{digits}f}") for digits in decimals]
        found, limit = next((pair for pair in texts if pair[0] != pair[1]), texts[-1])
        return f"{self.wording.says} {found}{unit}, more than {limit}{unit}"


@dataclass(frozen=True)
class AcceptRule:
    """Limits that an answer must keep, all of them.

    limits: of the scores. num_objects: validation objects behind them. num_rejected: how many of those it rejects.
    exact: false where there were too few objects for the share; the limits are then beyond all that was seen.
    """

    limits: tuple[Limit, ...]
    num_objects: int
    num_rejected: int
    exact: bool

    def accepts(self, scores: Mapping[str, ArrayLike]) -> NDArray[np.bool_]:
        """Return for n objects (n,) whether all instances keep all limits; a score that is no number keeps none.

        Args:
            scores: (n,) or (n, p) by name; every score that the rule knows.

        Raises:
            DataError: if a score of the rule is missing.
        """
        worst = [_worst(self._of(scores, limit)) <= limit.limit for limit in self.limits]
        if not worst:
            return np.ones(len(next(iter(scores.values()), ())), dtype=bool)  # type: ignore[arg-type]
        return np.asarray(np.all(worst, axis=0))

    def reason(self, scores: Mapping[str, ArrayLike]) -> str:
        """Return why one object is doubtful; empty if it is accepted.

        Args:
            scores: by name a number, or (2,) numbers of its instances in the order of SIDES.

        Raises:
            DataError: if a score of the rule is missing.
        """
        reasons = []
        for limit in self.limits:
            values = np.atleast_1d(np.asarray(self._of(scores, limit), dtype=np.float64))
            at = int(np.where(np.isfinite(values), values, np.inf).argmax())
            if not values[at] <= limit.limit:
                side = f"{SIDES[at]}: " if len(values) == len(SIDES) else ""
                reasons.append(side + limit.reason(float(values[at])))
        doubt = "" if self.exact or not reasons else f" (limits from only {self.num_objects} validation objects)"
        return "; ".join(reasons) + doubt

    @staticmethod
    def _of(scores: Mapping[str, ArrayLike], limit: Limit) -> ArrayLike:
        if limit.score not in scores:
            raise DataError(f"accept rule: score {limit.score!r} is missing; given: {', '.join(scores) or 'none'}")
        return scores[limit.score]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self) | {"limits": [asdict(limit) for limit in self.limits]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the rule that `to_dict` wrote.

        Raises:
            DataError: if the values are not those of a rule.
        """
        try:
            limits = (
                Limit(each["score"], float(each["limit"]), ScoreText(**each["wording"])) for each in values["limits"]
            )
            return cls(tuple(limits), int(values["num_objects"]), int(values["num_rejected"]), bool(values["exact"]))
        except (TypeError, KeyError, ValueError) as error:
            raise DataError(f"accept rule: {error!r}; expected what AcceptRule.to_dict writes") from None


def fit_accept_rule(
    scores: Mapping[str, ArrayLike], wordings: Mapping[str, ScoreText], *, share: float = SHARE, slack: float = SLACK
) -> AcceptRule:
    """Return limits `slack` times as far from the medians as those that reject `share` of the validation objects.

    All limits lie equally far from their score's median, in units of the score's own spread (median to ninth decile),
    so that an object is rejected by how far it stands out with its worst score. Without slack, with k of n rejected,
    new objects like these are rejected with a chance of about (k + 1) / (n + 1): 6.9 % of 20,000 simulated ones, with
    three scores and a rule of 5 % from 60. Below 1 / share objects none may be rejected, and how far good answers
    reach is not known: the limit is then the largest value seen and once more its distance from the median or from
    zero, whichever is more.

    Args:
        scores: by name, (n,) or (n, p) of n validation objects; infinite or NaN where not known.
        wordings: by name; a score without one is called by its name.
        share: 0 to 1.
        slack: at least 1.

    Raises:
        DataError: if there is no score, they are of different objects, or a score is unknown for too many of them.
    """
    if not scores:
        raise DataError("accept rule: no scores; expected at least one")
    worst = {name: _worst(values) for name, values in scores.items()}
    counts = {len(values) for values in worst.values()}
    num_objects = counts.pop()
    if counts or not num_objects:
        raise DataError("accept rule: scores of different numbers of objects, or of none; expected one row an object")
    budget = int(np.floor(share * num_objects + 1e-9))
    table = np.stack(list(worst.values()))  # (s, n)
    unknown = np.isinf(table)
    if unknown.any(axis=0).sum() > budget:
        most = int(unknown.sum(axis=1).argmax())
        raise DataError(
            f"accept rule: score {list(worst)[most]!r} is not known for {int(unknown[most].sum())} of {num_objects}"
            f" validation objects, more than the rule may reject ({budget}); leave the score out"
        )
    limits = _limits(table, budget, slack) if budget else _beyond(table)
    rejected = int((table > limits[:, None]).any(axis=0).sum())
    chosen = [
        Limit(name, float(limit), wordings.get(name, ScoreText(f"{name} is", "")))
        for name, limit in zip(worst, limits, strict=True)
    ]
    return AcceptRule(tuple(chosen), num_objects, rejected, exact=budget > 0)


def _limits(table: NDArray[np.float64], budget: int, slack: float) -> NDArray[np.float64]:
    """Return limits (s,) `slack` times as far from the medians of scores (s, n) as those that reject `budget` of n."""
    middle = np.quantile(table, 0.5, axis=1, method="lower")
    spread = np.quantile(table, 0.9, axis=1, method="lower") - middle
    largest = np.where(np.isfinite(table), table, -np.inf).max(axis=1) - middle
    spread = np.where(spread > 0, spread, np.where(largest > 0, largest, np.fmax(np.abs(middle), 1e-9)))
    standing_out = ((table - middle[:, None]) / spread[:, None]).max(axis=0)
    reach = slack * np.sort(standing_out)[-1 - budget]
    return np.asarray((middle + reach * spread) * (1 + 1e-12 * np.sign(middle + reach * spread)))  # against rounding


def _beyond(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return limits (s,) well beyond all scores (s, n)."""
    largest, middle = table.max(axis=1), np.median(table, axis=1)
    return np.asarray(largest + np.maximum(largest - middle, np.abs(largest)))


def _worst(values: ArrayLike) -> NDArray[np.float64]:
    """Return the largest value (n,) of each object's instances (n,) or (n, p); what is no number is infinite."""
    table = np.asarray(values, dtype=np.float64)
    table = table.reshape(len(table), -1) if table.size else np.empty((0, 1))
    return np.asarray(np.where(np.isfinite(table), table, np.inf).max(axis=1))
