"""The training, validation and test split: by groups of objects, so that no group is in more than one split."""

import hashlib
import logging
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence

logger = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")

EVERY = "every"
"""The split of an object of a final training: it is for training, and the models of a fold that has not seen it give
its validation results (datasets/folds.py)."""

FRACTIONS = (0.70, 0.15, 0.15)

MANY_GROUPS = 200
"""From this number of groups on, a hash of the name decides: the shares are near the FRACTIONS by themselves."""

NEEDS = {"val": 32, "test": 20}
"""Objects of a split that its results need. An error bar of 95 % holds for any distribution of errors from 32
validation objects on (models/uncertainty/conformal.py). The 95th percentile of fewer than 20 is the largest error."""

FILLING_ORDER = ("train", "test", "val")
"""Which of equally empty splits gets the next group: the largest group is for training, the second for the report."""


_PARTS = {"train": 3, "val": 14, "test": 14}
"""Inverse FRACTIONS as whole numbers, so that equal shares are equal."""


def split_of(group: str) -> str:
    """Return the split of a group of objects, a stable function of its name alone.

    Objects that are added later never move the existing ones, so the FRACTIONS hold on average only.
    """
    place = stable_fraction(group)
    return SPLITS[0] if place < FRACTIONS[0] else SPLITS[1] if place < FRACTIONS[0] + FRACTIONS[1] else SPLITS[2]


def has_many_groups(groups: Iterable[str], fixed: Container[str]) -> bool:
    """Return whether MANY_GROUPS or more are not fixed by the user; only the first ones are looked at."""
    free: set[str] = set()
    for group in groups:
        if group not in fixed:
            free.add(group)
        if len(free) >= MANY_GROUPS:
            return True
    return False


def assign_splits(groups: Sequence[str], fixed: Mapping[str, str], known: Mapping[str, str]) -> list[str]:
    """Return the split of each object, with shares near the FRACTIONS also where there are few groups.

    The largest new group comes first, and each goes to the split that has the least of its fraction so far. So three
    groups are in three splits, and no split exceeds its fraction by more than the largest group. The order of the
    objects does not matter.

    With many groups, each new group is where `split_of` puts it.

    Args:
        groups: the group of each object.
        fixed: the splits that the user fixed, by group.
        known: the splits of an earlier assignment, by group, which stay; fixed ones take precedence.
    """
    if has_many_groups(groups, fixed):
        return [fixed.get(group) or known.get(group) or split_of(group) for group in groups]
    sizes = Counter(groups)
    splits = {group: split for group in sizes if (split := fixed.get(group) or known.get(group))}
    counts = Counter(dict.fromkeys(SPLITS, 0))
    for group, split in splits.items():
        counts[split] += sizes[group]
    new = sizes.keys() - splits.keys()
    for group in sorted(new, key=lambda group: (-sizes[group], stable_fraction(group), group)):
        splits[group] = min(FILLING_ORDER, key=lambda split: counts[split] * _PARTS[split])
        counts[splits[group]] += sizes[group]
    return [splits[group] for group in groups]


def few_objects(objects: Mapping[str, int]) -> tuple[str, str] | None:
    """Return the fault and its fix if validation or test objects are too few for what they decide, else None.

    Args:
        objects: their number by split.
    """
    lacking = [split for split in NEEDS if objects.get(split, 0) < NEEDS[split]]
    if not lacking:
        return None
    counts = ", ".join(f"{split} {objects.get(split, 0)}" for split in SPLITS)
    reasons = {
        "val": f"error bars of 95 % need {NEEDS['val']} in val",
        "test": f"a 95th percentile needs {NEEDS['test']} in test",
    }
    in_all = max(round(NEEDS[split] / FRACTIONS[SPLITS.index(split)]) for split in lacking)
    message = f"few objects to judge by ({counts}): {' and '.join(reasons[split] for split in lacking)}"
    fix = f"label more objects, about {in_all} in all, divide them into smaller groups, or use `pipeline --folds 5`"
    return message, fix


def warn_of_few_objects(step: str, objects: Mapping[str, int]) -> None:
    """Log one line if `few_objects` finds a fault.

    Args:
        step: what asks, the first word of the line.
        objects: their number by split.
    """
    if few := few_objects(objects):
        logger.warning("%s: %s; %s", step, *few)


def stable_fraction(name: str) -> float:
    """Return a number in [0, 1) that depends on the name alone, uniformly distributed over names (SHA-256)."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
