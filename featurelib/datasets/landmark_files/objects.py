"""The object to which a landmark file or a row of a table belongs, by its name."""

import re
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from featurelib.datasets.landmark_files.landmarks import SIDE_WORDS
from featurelib.errors import DataError
from featurelib.geometry import SIDES
from featurelib.meshes import MESH_SUFFIXES

Key = TypeVar("Key", bound=Hashable)

PROGRAM_WORDS = frozenset(
    (
        *("annotation", "annotations", "f", "fiducial", "fiducials", "landmark", "landmarks", "list", "lm", "lms"),
        *("mark", "marks", "markup", "markups", "mrk", "picked", "point", "points", "pp", "pts"),
        *("mesh", "model", "scan", "surface", "segmentation"),
        *(suffix[1:] for suffix in MESH_SUFFIXES),
    )
)
"""Words that programs and people append to the name of an object, as in `head-1_picked_points.pp` or `head-1_scan.ply`.

Any other word may name another object or another state of it: `head-1_T2`, `head-1-2`, `head-1 copy`, `head-1-old`.
"""

MAX_NAME = 255
"""Longest file name of common file systems; a longer name in a table is no object."""


class Owner(NamedTuple):
    """The object of some points.

    rank: 0 for the same name, 1 for the same name in other letters, 2 for a longer name, 3 for a name whose object is
    longer.
    is_noted: whether the names differ visibly.
    side: the side that the name has at its end, as in `head-1_left`; None without one.
    """

    object_id: str
    rank: int
    is_noted: bool
    side: str | None = None


@dataclass(frozen=True)
class KnownObjects:
    """The objects of the meshes.

    ids: their ids. by_key: ids by name in lower case and composed Unicode. by_stem: ids by the same without
    PROGRAM_WORDS at the end. by_number: ids that are numbers. keys: those of `by_key`, sorted.
    examples: the first ids.
    extra_words: further words at the end of names that do not matter, such as the landmark's.
    """

    ids: frozenset[str]
    by_key: Mapping[str, Sequence[str]]
    by_stem: Mapping[str, Sequence[str]]
    by_number: Mapping[int, Sequence[str]]
    keys: Sequence[str]
    examples: Sequence[str]
    extra_words: frozenset[str] = frozenset()

    @classmethod
    def of(cls, object_ids: Iterable[str], extra_words: Iterable[str] = ()) -> "KnownObjects":
        """Return the index of some ids."""
        ids, extra = [*object_ids], frozenset(extra_words)
        by_key = _grouped((_key(i), i) for i in ids)
        by_stem = _grouped((stems(_key(i), extra)[-1], i) for i in ids)
        by_number = _grouped((int(i), i) for i in ids if re.fullmatch("[0-9]+", i))
        return cls(frozenset(ids), by_key, by_stem, by_number, sorted(by_key), sorted(ids)[:4], extra)


def owner_of(name: str, known: KnownObjects) -> Owner:
    """Return the object of a file's stem, or of an id in a table.

    The same name wins, then the same name in other letters (case, composed Unicode, blanks at the ends), then the
    longest id that only PROGRAM_WORDS follow, then the id that is equal without such words. A side may follow as well.

    Raises:
        DataError: if there is none, or if several are possible, with the fix.
    """
    if name in known.ids:
        return Owner(name, 0, is_noted=False)
    if len(name) > MAX_NAME:
        raise DataError(f"no mesh for {name[:40]!r}...; expected <object_id>, as in {_some(known.examples)}")
    shorter = stems(_key(name), known.extra_words)
    for rank, key in enumerate(shorter):
        if found := known.by_key.get(key):
            return _only(name, found, 1 + (rank > 0))
    if found := known.by_stem.get(shorter[-1]):
        return _only(name, found, 3)
    before, word = _without_last_word(shorter[-1])
    if side := next((side for side, names in zip(SIDES, SIDE_WORDS, strict=True) if before and word in names), None):
        return owner_of(before, known)._replace(rank=2, is_noted=True, side=side)
    raise DataError(_no_mesh(name, known))


def is_known(name: str, known: KnownObjects) -> bool:
    """Return whether an object has this name, perhaps in other letters."""
    return _key(name) in known.by_key


def stems(key: str, extra_words: frozenset[str] = frozenset()) -> list[str]:
    """Return a name, and the name without its last program word, its last two and so on; the first word stays."""
    found = [key]
    while True:
        before, word = _without_last_word(found[-1])
        if not before or word not in PROGRAM_WORDS | extra_words:
            return found
        found.append(before)


def _without_last_word(key: str) -> tuple[str, str]:
    """Return what is before the last word and its separators, and the word."""
    start = len(key)
    while start and key[start - 1].isalnum():
        start -= 1
    end = start
    while end and not key[end - 1].isalnum():
        end -= 1
    return key[:end], key[start:]


def _only(name: str, found: Sequence[str], rank: int) -> Owner:
    if len(found) > 1:
        raise DataError(f"{name!r} may be {_some(found, ' or ')}; name the points exactly as their mesh")
    is_noted = unicodedata.normalize("NFC", name) != unicodedata.normalize("NFC", found[0])
    return Owner(found[0], rank, is_noted)


def _no_mesh(name: str, known: KnownObjects) -> str:
    if (match := re.fullmatch(r"([0-9]+)([.,]0+)?", name)) and (found := known.by_number.get(int(match[1][:18]))):
        return (
            f"no mesh for {name!r}, but for {_some(found)}: spreadsheets drop the zeros of numbers; "
            f"format the column as text and write {found[0]!r}"
        )
    if alike := _alike(_key(name), known):
        return f"no mesh for {name!r}; if these are points of {_some(alike, ' or ')}, name them exactly so"
    return f"no mesh for {name!r}; expected <object_id>, as in {_some(known.examples)}"


def _alike(key: str, known: KnownObjects) -> list[str]:
    """Return the ids that a name begins with, the longest first, and those that begin with the name."""
    cuts = [end for end in range(len(key) - 1, 0, -1) if not key[end].isalnum()]
    found = [object_id for end in cuts for object_id in known.by_key.get(key[:end], ())]
    for longer in known.keys[bisect_left(known.keys, key) :][:3] if key else ():
        found += known.by_key[longer] if longer.startswith(key) else ()
    return found


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).strip()


def _grouped(items: Iterable[tuple[Key, str]]) -> dict[Key, list[str]]:
    found: defaultdict[Key, list[str]] = defaultdict(list)
    for key, object_id in items:
        found[key].append(object_id)
    return dict(found)


def _some(object_ids: Iterable[str], between: str = ", ") -> str:
    first = [*object_ids]
    return between.join(first[:3]) + (", ..." if len(first) > 3 else "")
