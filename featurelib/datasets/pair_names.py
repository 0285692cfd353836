"""The pairs of a landmark set as the landmarks' names tell them, such as "tragus_L" and "tragus_R"."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from featurelib.datasets.landmark_files.landmarks import SIDE_WORDS
from featurelib.geometry import LandmarkSet

SIDE_NAMES = tuple(words | more for words, more in zip(SIDE_WORDS, ({"le", "sin"}, {"ri", "re", "dex"}), strict=True))
"""Words for left and right in lower case."""

PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+|[\W_]+")
"""A word, a number or separators: "LTragus" has two words, "tragus_L1" two words and a number."""


class NamedPairs(NamedTuple):
    """What names tell.

    pairs: (left, right), in the order of the names. others: names without a side, or whose other side is no landmark.
    ambiguous: names that could form several pairs; they are in no pair.
    """

    pairs: tuple[tuple[str, str], ...]
    others: tuple[str, ...]
    ambiguous: tuple[str, ...]

    def landmark_set(self) -> LandmarkSet:
        """Return the set, in which all landmarks without a pair are unpaired."""
        paired = {name for pair in self.pairs for name in pair}
        unpaired = tuple(name for name in (*self.others, *self.ambiguous) if name not in paired)
        return LandmarkSet(self.pairs, (), unpaired, "swap" if self.pairs else "none")


def pairs_from_names(names: Sequence[str]) -> NamedPairs:
    """Return the pairs of names that are equal but for a word for the side.

    The word may be anywhere in the name, as in "left tragus", "tragus_l", "R-ear-2" and "eyeLeft". Numbers tell no
    sides: that 26 and 16 are a pair, as of teeth, cannot be known.
    """
    by_key: dict[tuple[str, ...], tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for name in names:
        for key, side in _readings(name):
            by_key[key][side].append(name)
    partners: dict[str, set[str]] = defaultdict(set)
    pairs: list[tuple[str, str]] = []
    for lefts, rights in by_key.values():
        pairs += [(left, right) for left in lefts for right in rights if right not in partners[left]]
        for left in lefts:
            partners[left].update(rights)
        for right in rights:
            partners[right].update(lefts)
    clear = [(a, b) for a, b in pairs if partners[a] == {b} and partners[b] == {a}]
    paired = {name for pair in clear for name in pair}
    ambiguous = [name for name in names if name not in paired and partners[name]]
    order = {name: k for k, name in enumerate(names)}
    return NamedPairs(
        tuple(sorted(clear, key=lambda pair: min(order[pair[0]], order[pair[1]]))),
        tuple(name for name in names if not partners[name]),
        tuple(ambiguous),
    )


def _readings(name: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield for each word for a side the name with a gap in its place, and the side: 0 is left, 1 right."""
    parts = [part.casefold() for part in PART.findall(unicodedata.normalize("NFC", name))]
    for place, part in enumerate(parts):
        for side, words in enumerate(SIDE_NAMES):
            if part in words:
                yield (*parts[:place], "", *parts[place + 1 :]), side
