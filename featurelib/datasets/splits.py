"""The training, validation and test split: by groups of objects, so that no group is in more than one split."""

import hashlib

SPLITS = ("train", "val", "test")
FRACTIONS = (0.70, 0.15, 0.15)


def split_of(group: str) -> str:
    """Return the split of a group of objects, a stable function of its name alone.

    Objects that are added later never move the existing ones, so the FRACTIONS hold on average only.
    """
    place = stable_fraction(group)
    return SPLITS[0] if place < FRACTIONS[0] else SPLITS[1] if place < FRACTIONS[0] + FRACTIONS[1] else SPLITS[2]


def stable_fraction(name: str) -> float:
    """Return a number in [0, 1) that depends on the name alone, uniformly distributed over names (SHA-256)."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
