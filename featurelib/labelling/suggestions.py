"""Suggestions of objects to label: the choice among all objects of a dataset, with a reason in words for each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurelib.labelling.choice import Choice, choose, described
from featurelib.labelling.expected_errors import ExpectedErrors


@dataclass(frozen=True)
class Suggestion:
    """An object to label next, and why.

    nearest, distance_mm, alike: as in `choice.Choice`; the first two are None for the first object without labels.
    sigma_mm: standard deviation of the run's answers for it; None without a run or an answer.
    """

    object_id: str
    reason: str
    nearest: str | None
    distance_mm: float | None
    alike: int
    sigma_mm: float | None = None


@dataclass(frozen=True, eq=False)
class Objects:
    """The n objects among which to choose, by the sorted ids of those with a shape.

    distances_mm: (n, n) between their shapes. is_labelled: (n,). is_for_test: (n,) whether a run only tests with them.
    is_candidate: (n,) whether they may be chosen.
    expected: of a run's answers; None without a run.
    """

    ids: Sequence[str]
    distances_mm: NDArray[np.float64]
    is_labelled: NDArray[np.bool_]
    is_for_test: NDArray[np.bool_]
    is_candidate: NDArray[np.bool_]
    expected: ExpectedErrors | None = None


def suggestions(objects: Objects, count: int) -> list[Suggestion]:
    """Return at most `count` objects to label, the most useful first.

    Without a run's answers every object without a label counts the same; with them it counts by its expected squared
    error.
    """
    variances = np.ones(len(objects.ids)) if objects.expected is None else objects.expected.variance_mm2
    chosen = choose(
        objects.distances_mm,
        np.where(objects.is_labelled, 0.0, variances),
        objects.is_labelled & ~objects.is_for_test,
        objects.is_candidate,
        count,
    )
    choices = described(chosen, objects.distances_mm, objects.is_labelled)
    return [_suggestion(objects, choice) for choice in choices]


def _suggestion(objects: Objects, choice: Choice) -> Suggestion:
    expected = objects.expected
    sigma_mm = np.nan if expected is None else float(expected.sigma_mm[choice.index])
    return Suggestion(
        objects.ids[choice.index],
        "; ".join([*_errors_in_words(objects, choice.index), *_shape_in_words(objects, choice)]),
        None if choice.nearest is None else objects.ids[choice.nearest],
        None if choice.nearest is None else choice.distance_mm,
        choice.alike,
        None if np.isnan(sigma_mm) else sigma_mm,
    )


def _errors_in_words(objects: Objects, index: int) -> list[str]:
    if objects.expected is None:
        return []
    expected = objects.expected
    sigma_mm, rejected = float(expected.sigma_mm[index]), int(expected.rejected[index])
    if np.isnan(sigma_mm):
        return [f"no prediction ({expected.reasons[index]})"]
    ratio = sigma_mm / float(np.nanmedian(expected.sigma_mm[~objects.is_labelled]))
    words = f"standard deviation {sigma_mm:.2f} mm, {ratio:.1f} times that of the median object"
    return [words, f"landmarks not accepted: {rejected} ({expected.reasons[index]})"] if rejected else [words]


def _shape_in_words(objects: Objects, choice: Choice) -> list[str]:
    alike = f"objects most like it: {choice.alike}"
    if choice.nearest is None:
        return ["the most typical shape" if objects.expected is None else "the first of the list", alike]
    role = "labelled" if objects.is_labelled[choice.nearest] else "earlier in this list"
    return [f"differs by {choice.distance_mm:.2g} mm from {objects.ids[choice.nearest]} ({role})", alike]
