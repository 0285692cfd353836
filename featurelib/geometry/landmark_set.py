"""The landmark set: which landmarks an object has, in which order, and how the mirrored object's are named.

Arrays of landmarks have the set's order along one axis of length k: (k, 3) positions in space, (k, 2) in an image. A
landmark that is not labelled, or does not exist on an object, is NaN.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from itertools import chain
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from featurelib.errors import DataError

Mirror = Literal["swap", "same", "none"]
"""What the mirror image of an object is. swap: the same kind of object with the names of each pair exchanged. same: the
same kind of object with the same names (left and right femora in one dataset). none: no object of this kind."""

SIDES = ("left", "right")
"""The sides of a pair, from the object's own point of view."""

RECORD_KEY = "landmark_set"

KEYS = ("pairs", "midline", "unpaired", "outlines", "definitions")


@dataclass(frozen=True)
class LandmarkSet:
    """The landmarks of a dataset, by name.

    pairs: (left, right) names of landmarks that are mirror images of each other.
    midline: names of landmarks that are their own mirror images.
    unpaired: names of landmarks without a counterpart.
    mirror: see Mirror. By default `swap` if there are pairs, else `none`.
    outlines: lines through landmarks, for display. definitions: texts by name. Neither changes a result.
    """

    pairs: tuple[tuple[str, str], ...] = ()
    midline: tuple[str, ...] = ()
    unpaired: tuple[str, ...] = ()
    mirror: Mirror = "swap"
    outlines: tuple[tuple[str, ...], ...] = field(default=(), compare=False)
    definitions: Mapping[str, str] = field(default_factory=dict, compare=False, hash=False)

    @classmethod
    def single_pair(cls, landmark: str) -> Self:
        """Return the smallest set: one pair, `<landmark>_left` and `<landmark>_right`."""
        left, right = (f"{landmark}_{side}" for side in SIDES)
        return cls(((left, right),))

    @classmethod
    def from_dict(cls, values: Any, mirror: Any = None, *, name: str = "landmarks") -> Self:
        """Return the set of the entries `landmarks` and `mirror` of a dataset.json; errors begin with `name`.

        Raises:
            DataError: if a key is unknown, a name is not a text or is used twice, or an outline or a definition names
                no landmark of the set.
        """
        if not isinstance(values, Mapping) or not set(KEYS).issuperset(values):
            unknown = sorted(set(values) - set(KEYS)) if isinstance(values, Mapping) else values
            raise DataError(f"{name}: {unknown!r}; expected an object with some of {', '.join(KEYS)}")
        pairs, outlines = (_lists(values.get(key, []), f"{name}: {key}") for key in ("pairs", "outlines"))
        midline, unpaired = (_names(values.get(key, []), f"{name}: {key}") for key in ("midline", "unpaired"))
        definitions = values.get("definitions", {})
        for pair in pairs:
            if len(pair) != len(SIDES) or pair[0] == pair[1]:
                raise DataError(f"{name}: pairs: {list(pair)}; expected [left, right], two different names")
        if mirror is None:
            mirror = "swap" if pairs else "none"
        if mirror not in get_args(Mirror):
            raise DataError(f"{name}: mirror {mirror!r}; expected one of {', '.join(get_args(Mirror))}")
        found = cls(tuple((a, b) for a, b in pairs), midline, unpaired, mirror, outlines, definitions)
        found._check(name)
        return found

    def _check(self, name: str) -> None:
        """Raise DataError if the set is empty, a landmark has two roles, or a text refers to an unknown landmark."""
        if not self.names:
            raise DataError(f"{name}: no landmarks; expected names under pairs, midline or unpaired")
        roles: dict[str, str] = {}
        members = chain(
            ((each, "pairs") for each in chain(*self.pairs)),
            ((each, "midline") for each in self.midline),
            ((each, "unpaired") for each in self.unpaired),
        )
        for landmark, role in members:
            if landmark in roles:
                both = f"twice in {role}" if roles[landmark] == role else f"in {roles[landmark]} and in {role}"
                raise DataError(f"{name}: {landmark!r} is {both}; a landmark has one place in the set")
            roles[landmark] = role
        if not isinstance(self.definitions, Mapping) or not all(isinstance(v, str) for v in self.definitions.values()):
            raise DataError(f"{name}: definitions {self.definitions!r}; expected texts by name")
        for key, used in (("outlines", chain(*self.outlines)), ("definitions", self.definitions)):
            for landmark in used:
                if landmark not in roles:
                    raise DataError(f"{name}: {key}: {landmark!r} is in none of pairs, midline, unpaired")

    def to_record(self) -> dict[str, Any]:
        """Return the entry `landmark_set` of an artefact's configuration: names, roles, mirror, hash; no outlines."""
        shaping = replace(self, outlines=(), definitions={})
        return {RECORD_KEY: {"landmarks": shaping.to_dict(), "mirror": self.mirror, "hash": self.hash}}

    @classmethod
    def from_record(cls, config: Mapping[str, Any], *, name: str) -> Self:
        """Return the set of an artefact's configuration with the entry of `to_record`; errors begin with `name`.

        Raises:
            DataError: if it has no set, so that another version wrote it, or as `from_dict`.
        """
        if RECORD_KEY not in config:
            raise DataError(
                f"{name}: written by another version of featurelib; run the pipeline again into a new --run"
            )
        record = config[RECORD_KEY]
        return cls.from_dict(record["landmarks"], record["mirror"], name=name)

    def to_dict(self) -> dict[str, Any]:
        """Return the entry `landmarks` of a dataset.json, without `mirror`; empty parts are left out."""
        values: dict[str, Any] = {
            "pairs": [list(pair) for pair in self.pairs],
            "midline": list(self.midline),
            "unpaired": list(self.unpaired),
            "outlines": [list(outline) for outline in self.outlines],
            "definitions": dict(self.definitions),
        }
        return {key: value for key, value in values.items() if value}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The k names in the set's order: left and right of each pair, then midline, then unpaired landmarks."""
        return (*chain(*self.pairs), *self.midline, *self.unpaired)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """The position of each name in the set's order."""
        return {name: i for i, name in enumerate(self.names)}

    @property
    def sides(self) -> tuple[str | None, ...]:
        """The k sides, `left` or `right`; None for midline and unpaired landmarks."""
        return (*(SIDES * len(self.pairs)), *([None] * (len(self.midline) + len(self.unpaired))))

    @property
    def roles(self) -> tuple[str, ...]:
        """The k roles: `left`, `right`, `midline` or `unpaired`."""
        others = ("midline",) * len(self.midline) + ("unpaired",) * len(self.unpaired)
        return (*(SIDES * len(self.pairs)), *others)

    @property
    def is_single_pair(self) -> bool:
        """Whether the set is one pair alone."""
        return len(self.pairs) == 1 and len(self.names) == len(SIDES)

    @property
    def hash(self) -> str:
        """SHA-256 of what shapes results: names, order, roles and mirror."""
        values = [self.pairs, self.midline, self.unpaired, self.mirror]
        return sha256(json.dumps(values, ensure_ascii=False).encode()).hexdigest()

    @cached_property
    def slots(self) -> NDArray[np.intp]:
        """(s, 2) indices of the landmarks of each slot, left and right.

        A slot is a pair, of which one view shows the nearer one, or a midline or unpaired landmark, twice the same.
        """
        pairs = np.arange(2 * len(self.pairs)).reshape(-1, 2)
        others = np.arange(2 * len(self.pairs), len(self.names))
        return np.concatenate([pairs, np.repeat(others, 2).reshape(-1, 2)]).astype(np.intp)

    @cached_property
    def slot_of(self) -> NDArray[np.intp]:
        """(k,) the slot of each landmark."""
        slot_of = np.empty(len(self.names), np.intp)
        slot_of[self.slots] = np.arange(len(self.slots))[:, None]
        return slot_of


def difference(before: LandmarkSet, after: LandmarkSet) -> str:
    """Return in a few words how the first of two sets with different hashes differs from the second, for messages."""
    for word, names, others in (("with", before.names, after.index), ("without", after.names, before.index)):
        if own := [name for name in names if name not in others]:
            return f"{word} {own[0]!r}{f' and {len(own) - 1} more' if own[1:] else ''}"
    if before.mirror != after.mirror:
        return f"with mirror {before.mirror!r}, not {after.mirror!r}"
    return "with the same names in another order or in other roles"


def _names(values: Any, name: str) -> tuple[str, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise DataError(f"{name}: {values!r}; expected a list of names")
    for value in values:
        if not isinstance(value, str) or not value.strip() or value != value.strip():
            raise DataError(f"{name}: {value!r}; expected a name, a text without blanks at its ends")
    return tuple(values)


def _lists(values: Any, name: str) -> tuple[tuple[str, ...], ...]:
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise DataError(f"{name}: {values!r}; expected a list of lists of names")
    return tuple(_names(value, name) for value in values)
