"""Rules on what is labelled, and on what could not be checked."""

from collections.abc import Iterator

import numpy as np

from featurelib.datasets.splits import SPLITS
from featurelib.validation.dataset.finding import Finding, first_of
from featurelib.validation.dataset.survey import Survey


def objects_without_a_label(survey: Survey) -> Iterator[Finding]:
    """Objects all of whose landmarks are absent, which `render` rejects."""
    if survey.is_labelled:
        for row in survey.measured:
            if row.labels is None:
                message = "none of its landmarks is labelled"
                yield Finding(
                    "unlabelled", "warning", row.object_id, message, "label one; `render` rejects it as it is"
                )


def rarely_labelled_landmarks(survey: Survey) -> Iterator[Finding]:
    """Landmarks of the set that no object has, or no object of the training split."""
    if not survey.labelled:
        return
    is_labelled = np.array([labels.is_labelled for _, labels in survey.labelled])
    splits = np.array([survey.in_table[row.object_id]["split"] for row, _ in survey.labelled])
    counts, in_train = is_labelled.sum(axis=0), is_labelled[splits == SPLITS[0]]
    for i in np.flatnonzero((counts == 0) | (len(in_train) > 0) & ~in_train.any(axis=0)).tolist():
        message = f"{survey.names[i]} is labelled on {counts[i]} of {len(splits)} objects, on none for training"
        fix = "label it on some, or remove it from `landmarks` in dataset.json"
        yield Finding("rare", "error", None, message, fix)
    partly = [name for name, count in zip(survey.names, counts, strict=True) if count < len(splits)]
    if partly:
        message = f"{len(partly)} of {len(counts)} landmarks are not labelled on all objects: {first_of(partly)}"
        yield Finding("partial", "note", None, message, "fine: what is not labelled is left out of losses and errors")


def left_out(survey: Survey) -> Iterator[Finding]:
    """Rules that could not be applied."""
    if not survey.is_labelled:
        message = "no landmarks.csv: the rules on labels and splits were skipped"
        yield Finding("labels", "note", None, message, "fine for `predict` and `serve`; training needs labels")
    if survey.measured and not survey.has_spread:
        message = (
            f"only {len(survey.measured)} objects: none was compared with the others' size, axes, shape and labels"
        )
        yield Finding("spread", "note", None, message, "check the contact sheet yourself")
