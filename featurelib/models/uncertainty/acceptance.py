"""Which landmarks to reject, by limits on quality scores that need no labels.

A score is a number that is small for a good prediction: how far refinement moved the point, the distance from the
surface, the distance from the registered mean shape. The limits come from validation objects, of whose landmarks they
reject at most a given share. A score of the object rejects all its landmarks, a score of a landmark rejects that one.
The limit of a landmark's score is in proportion to what is usual for that landmark. Limits detect objects unlike the
validation objects. Whether they detect wrong predictions depends on the scores, so a report should give the errors of
accepted and of rejected ones.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurelib.errors import DataError
from featurelib.models.uncertainty.sharing import one_channel, score_factors

SHARE = 0.05
"""Share of validation landmarks beyond the limits that SLACK then widens."""

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
    factors: (k,) of the limit for each landmark; empty if all have the same.
    """

    score: str
    limit: float
    text: ScoreText
    factors: tuple[float, ...] = ()

    def reasons(self, values: ArrayLike, num_landmarks: int) -> list[str]:
        """Return why each landmark (k,) is rejected for a score of the object or (k,) scores; empty if it is not."""
        given = np.broadcast_to(np.asarray(values, dtype=np.float64), num_landmarks)
        limits = self.limit * np.broadcast_to(self.factors or (1.0,), num_landmarks)
        each = zip(given.tolist(), limits.tolist(), strict=True)
        return ["" if value <= limit else replace(self, limit=limit).reason(value) for value, limit in each]

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
    """Limits on the scores of a prediction. A landmark is accepted if no score is beyond its limit.

    limits: of the scores. num_objects: validation objects behind them.
    num_rejected: how many of their landmarks it rejects; those that are mirror images of each other count once.
    exact: False if there were too few objects for the share; the limits are then beyond all values seen.
    """

    limits: tuple[Limit, ...]
    num_objects: int
    num_rejected: int
    exact: bool

    def reasons(self, scores: Mapping[str, ArrayLike], num_landmarks: int) -> tuple[str, ...]:
        """Return why each landmark (k,) of one object is rejected; empty if it is accepted.

        Args:
            scores: by name, one number for the object or (k,) numbers; NaN is beyond any limit.
            num_landmarks: k.

        Raises:
            DataError: if a score of the rule is missing.
        """
        for limit in self.limits:
            if limit.score not in scores:
                raise DataError(f"accept rule: score {limit.score!r} is missing; given: {', '.join(scores) or 'none'}")
        found = [limit.reasons(scores[limit.score], num_landmarks) for limit in self.limits]
        caveat = "" if self.exact else f" (limits from only {self.num_objects} validation objects)"
        joined = ("; ".join(filter(None, of_one)) for of_one in zip(*found, strict=True))
        return tuple(reason and reason + caveat for reason in joined)

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
                Limit(each["score"], float(each["limit"]), ScoreText(**each["text"]), tuple(each["factors"]))
                for each in values["limits"]
            )
            return cls(tuple(limits), int(values["num_objects"]), int(values["num_rejected"]), bool(values["exact"]))
        except (TypeError, KeyError, ValueError) as error:
            raise DataError(f"accept rule: unreadable ({error!r}); train the run's models again") from None


def fit_accept_rule(
    scores: Mapping[str, ArrayLike],
    texts: Mapping[str, ScoreText],
    *,
    channel: ArrayLike | None = None,
    known: ArrayLike | None = None,
    share: float = SHARE,
    slack: float = SLACK,
) -> AcceptRule:
    """Return limits `slack` times as far from the medians as those that reject `share` of the validation landmarks.

    All limits are equally far from their score's median, in units of the score's spread (median to ninth decile). So a
    landmark is rejected by its worst score. Landmarks of one channel are judged by the worst of them. Without slack,
    with k of n rejected, new ones like these are rejected with a probability of about (k + 1) / (n + 1): 6.9 % of
    20,000 simulated objects, with three scores and a rule of 5 % from 60 objects. With fewer than 1 / share objects,
    none may be rejected, and the range of good predictions is not known. The limit is then the largest value seen, plus
    its distance from the median or from zero, whichever is larger.

    Args:
        scores: by name, (n,) of n validation objects or (n, k) of their landmarks; infinite or NaN where not known.
        texts: by name; a score without a text appears by its name.
        channel: (k,) of `geometry.canonical`; default: one for all.
        known: (n, k) the landmarks that count; default: all.
        share: 0 to 1.
        slack: at least 1.

    Raises:
        DataError: if there is no score, if numbers of objects differ, or if a score is unknown for too many landmarks.
    """
    if not scores:
        raise DataError("accept rule: no scores; expected at least one")
    tables = {name: np.asarray(values, dtype=np.float64) for name, values in scores.items()}
    num_objects = len(next(iter(tables.values())))
    if not num_objects or any(len(table) != num_objects for table in tables.values()):
        raise DataError("accept rule: scores of different numbers of objects, or of none; expected one row per object")
    every = np.ones((num_objects, _num_landmarks(tables, channel)), dtype=bool)
    counted = every if known is None else np.asarray(known, dtype=bool)
    channels = one_channel(channel, counted.shape[1])
    factors = {name: _factors(table, counted, channels) for name, table in tables.items()}
    units = _worst(counted, channels) > 0
    worst = [_worst_units(tables[name] / (factors[name] or (1.0,)), counted, channels)[units] for name in tables]
    budget = int(np.floor(share * units.sum() + 1e-9)) if share * num_objects + 1e-9 >= 1 else 0
    joined = np.stack(worst)  # (s, u)
    unknown = np.isinf(joined)
    if unknown.any(axis=0).sum() > budget:
        most = int(unknown.sum(axis=1).argmax())
        raise DataError(
            f"accept rule: score {list(tables)[most]!r} is unknown for {int(unknown[most].sum())} of {units.sum()}"
            f" validation {'objects' if units.shape[1] == 1 else 'landmarks'}, more than the rule may reject"
            f" ({budget}); leave the score out"
        )
    limits = _limits(joined, budget, slack) if budget else _beyond(joined)
    rejected = int((joined > limits[:, None]).any(axis=0).sum())
    chosen = [
        Limit(name, float(limit), texts.get(name, ScoreText(f"{name} is", "")), factors[name])
        for name, limit in zip(tables, limits, strict=True)
    ]
    return AcceptRule(tuple(chosen), num_objects, rejected, exact=budget > 0)


def _num_landmarks(tables: Mapping[str, NDArray[np.float64]], channel: ArrayLike | None) -> int:
    return max(table[0].size for table in tables.values()) if channel is None else np.size(channel)


def _factors(table: NDArray[np.float64], counted: NDArray[np.bool_], channel: NDArray[np.intp]) -> tuple[float, ...]:
    """Return what is usual for each landmark (k,), for scores (n, k); empty for scores (n,), or for one channel."""
    if table.ndim == 1 or not channel.any():
        return ()
    return tuple(score_factors(np.where(counted, table, np.nan), channel).tolist())


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


def _worst_units(
    table: NDArray[np.float64], counted: NDArray[np.bool_], channel: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the largest score (n, c) of each channel's landmarks that count, for scores (n,) or (n, k).

    NaN counts as infinite.
    """
    values = np.broadcast_to(table.reshape(len(table), -1), counted.shape)
    return _worst(np.where(counted, np.where(np.isfinite(values), values, np.inf), -np.inf), channel)


def _worst(values: NDArray[Any], channel: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the largest value (n, c) of each channel's landmarks (n, k)."""
    each = [values[:, channel == c].max(axis=1) for c in range(channel.max() + 1)]
    return np.stack(each, axis=1).astype(np.float64)
