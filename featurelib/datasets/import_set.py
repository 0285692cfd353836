"""The landmark set of an import: given, or made from the names or the positions of the points in its files."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from numpy.typing import ArrayLike

from featurelib.datasets.mesh_folder import some
from featurelib.datasets.pair_inference import PairInference, infer_pairs
from featurelib.datasets.pair_names import pairs_from_names
from featurelib.errors import DataError
from featurelib.geometry import LandmarkSet
from featurelib.runtime import storage


class ImportedSet(NamedTuple):
    """A landmark set and how it was found.

    notes: lines on what was found. pairs: lines on inferred pairs. doubts: lines on what a person has to check.
    inference: of the pairs, if they were inferred.
    """

    landmarks: LandmarkSet
    notes: Sequence[str] = ()
    pairs: Sequence[str] = ()
    doubts: Sequence[str] = ()
    inference: PairInference | None = None


def read_set(uri: str) -> LandmarkSet:
    """Return the set of a JSON file with the entries `landmarks` and `mirror` of a dataset.json.

    Raises:
        DataError: naming the file, the value and what was expected.
    """
    try:
        values = json.loads(storage.read_bytes(uri))
    except ValueError as error:
        raise DataError(f"{uri}: not JSON ({error})") from None
    if not isinstance(values, dict) or not isinstance(values.get("landmarks"), dict):
        example = '{"landmarks": {"pairs": [["26", "16"]], "midline": ["nasion"]}}'
        raise DataError(f"{uri}: {str(values)[:60]}; expected landmarks as in dataset.json, {example}")
    return LandmarkSet.from_dict(values["landmarks"], values.get("mirror"), name=f"{uri}: landmarks")


def given_set(landmarks: LandmarkSet, names: Sequence[str]) -> ImportedSet:
    """Return a set that is known; a note names the points of the files that are not in it.

    Raises:
        DataError: if none is in it.
    """
    others = [name for name in names if name not in landmarks.index]
    if others and len(others) == len(names):
        raise DataError(f"none of the points {some(others)} is in the set: {some(landmarks.names)}; correct the names")
    notes = [f"not in the set, so not imported: {some(others)}"] if others else []
    return ImportedSet(landmarks, notes)


def unpaired_set(names: Sequence[str]) -> ImportedSet:
    """Return the set in which all names are unpaired."""
    return ImportedSet(LandmarkSet((), (), (*names,), "none"))


def named_set(names: Sequence[str]) -> ImportedSet:
    """Return the set whose pairs are told by the words for sides in the names."""
    found = pairs_from_names(names)
    landmarks = found.landmark_set()
    fix = "--pairs infer finds them from the positions, and --pairs FILE.json takes yours"
    notes = []
    if not found.pairs:
        notes = [f"no name tells a side, so there are no pairs; {fix}"] if len(names) > 1 else []
    elif found.others:
        notes = [f"unpaired, as their names tell no pair: {some(found.others)}; {fix}"]
    doubts = [f"unpaired, as their names tell several pairs: {some(found.ambiguous)}"] if found.ambiguous else []
    return ImportedSet(landmarks, notes, doubts=doubts)


def inferred_set(names: Sequence[str], points: ArrayLike, page: str, *, is_aligned: bool) -> ImportedSet:
    """Return the set whose pairs are inferred; `page` is the place of the picture, other arguments as `infer_pairs`."""
    found = infer_pairs(names, points, is_aligned=is_aligned)
    if not found.is_symmetric:
        doubt = "the mean shape has no mirror symmetry, so all landmarks are unpaired; --pairs FILE.json takes yours"
        return ImportedSet(found.landmark_set(), doubts=(doubt,), inference=found)
    return ImportedSet(found.landmark_set(), (), [*_lines(found, page)], [*_doubts(found)], found)


def _lines(found: PairInference, page: str) -> Iterator[str]:
    yield f"pairs inferred from the mean shape; confirm them in {page}; gaps in % of its length:"
    for left, right in found.pairs:
        yield f"  left {left}, right {right}: {_percent(found.gaps, left)}"
    for role, names in (("midline", found.midline), ("unpaired", found.unpaired)):
        texts = (f"{name} {_percent(found.gaps, name)}".strip() for name in names)
        yield f"  {role}: {', '.join(texts) or 'none'}"


def _percent(gaps: Mapping[str, float], name: str) -> str:
    return f"{100 * gaps[name]:.2f}" if name in gaps else ""


def _doubts(found: PairInference) -> Iterator[str]:
    if not found.is_left_known:
        axis = f"the side towards {found.left_axis} of the mesh files was taken for left"
        yield f"{axis}; if it is not, give --front and --up, or exchange the names in --pairs FILE.json"
    if found.doubtful:
        yield f"another landmark fits almost as well, so check: {some(found.doubtful)}"
