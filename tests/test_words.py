"""The vocabulary of docs/glossary.md: words that it replaced do not come back."""

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for package in ("featurelib", "jobs", "serve") for path in (ROOT / package).rglob("*.py"))
PAGES = sorted([ROOT / "README.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").rglob("*.md")])

OLD_NAMES = {
    "Answerer", "Catalogue", "Child", "ChildLimits", "Claim", "Claims", "Course", "Door", "DoorRules", "Drawn",
    "Evidence", "Facing", "Finder", "FirstLook", "Gate", "Laid", "Look", "Loop", "LostError", "Manners",
    "REACH_POINTS", "Reach", "RefusedError", "Room", "SIGMAS_A_MAD", "Sight", "Sighting", "Sightings", "Starts",
    "TURN", "TurnJob", "Turned", "UnseenObjects", "Upright", "Wording", "bound_tensorflow", "claims", "dealt",
    "doubted", "dry", "evidence", "feet", "finder", "folded", "head_rate", "in_children", "is_done", "likeness",
    "mark_begun", "networks_of", "object_seconds", "picture", "read_turns", "register_sampled", "settled", "spoiled",
    "stands", "tune_rate", "upright", "whole_version", "write_turns",
}  # fmt: skip
"""Identifiers of our own vocabulary for which the field has a standard term."""

OLD_FLAGS = (
    "--dry ", "--head-rate", "--tune-rate", "--networks-of", "--object-seconds", "--refiner-pictures", "--no-hidden",
    "bench spoil", "bench unseen", "bench labels", "bench ablation",
)  # fmt: skip


def names_in(source: str) -> set[str]:
    """Every identifier of a Python source; strings and comments are left out."""
    return {
        token.string for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == tokenize.NAME
    }


def test_the_check_sees_old_names():
    """A line with an old word is found."""
    assert names_in("claims = Finder(run)  # evidence") & OLD_NAMES == {"claims", "Finder"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_code_uses_the_terms_of_the_glossary(path):
    """No identifier is one of the words that the glossary replaced."""
    assert names_in(path.read_text()) & OLD_NAMES == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pages_name_the_flags_of_today(path):
    """No page tells a reader to use a flag or a command that has another name now."""
    text = path.read_text()

    assert [flag for flag in OLD_FLAGS if re.search(rf"(?<![\w-]){re.escape(flag)}", text)] == []
