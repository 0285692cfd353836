"""The vocabulary of docs/glossary.md: replaced words do not come back."""

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for package in ("featurelib", "jobs", "serve") for path in (ROOT / package).rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

OLD_NAMES = {
    "Answer", "Answerer", "CLEARER", "CLEARLY", "Catalogue", "Child", "ChildLimits", "Claim", "Claims", "Course",
    "Door", "DoorRules", "Drawn", "Evidence", "Facing", "Finder", "FirstLook", "Gate", "Infer3dAnswer",
    "InferAnswer", "LOOKED_AT", "LOOKING", "Laid", "Look", "Loop", "LostError", "MANNERS", "MESHES_A_TASK",
    "MOSTLY_HIDDEN", "Manners", "Question", "REACH_POINTS", "Reach", "RefusedError", "Room", "SHARDS_A_TASK",
    "SHARDS_HERE", "SIGMAS_A_MAD", "Seen", "Sight", "Sighting", "Sightings", "Spoiled", "Starts", "TURN", "TurnJob",
    "Turned", "UnseenObjects", "Upright", "VALIDATION_PICTURES", "WORDINGS", "Wording", "aimed_camera", "aims",
    "aims_mm", "bound_tensorflow", "claims", "closeup", "dealt", "doubted", "dry", "evidence", "feet", "finder",
    "first_sight", "folded", "gate", "gathered", "give_terminal_back", "head_rate", "in_children", "is_done",
    "lanes", "lay", "lay_upload", "likeness", "look_at", "look_at_part", "mark_begun", "narrower_frame",
    "networks_of", "object_seconds", "picture", "picture_pixels", "pictures", "prepare_upload", "quick_serve",
    "read_turns", "register_sampled", "say", "say_result", "settled", "spoil", "spoiled", "spoken", "spread_xy",
    "stands", "starting_within", "starts_mm", "told", "torn", "tune_rate", "upright", "whole_version", "wording",
    "wordings", "write_turns",
}  # fmt: skip
"""Replaced identifiers, for which the field has a standard term."""

OLD_FLAGS = (
    "--dry ", "--head-rate", "--tune-rate", "--networks-of", "--object-seconds", "--refiner-pictures", "--no-hidden",
    "bench spoil", "make viewer-picture", "bench unseen", "bench labels", "bench ablation",
)  # fmt: skip


def names_in(source: str) -> set[str]:
    """Return every identifier of a Python source, without strings and comments."""
    return {
        token.string for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == tokenize.NAME
    }


def test_old_names_are_found():
    """The check finds the old names in a line of code."""
    assert names_in("claims = Finder(run)  # evidence") & OLD_NAMES == {"claims", "Finder"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_code_has_no_old_names(path):
    """No identifier is a replaced word."""
    assert names_in(path.read_text()) & OLD_NAMES == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pages_have_no_old_flags(path):
    """No page shows a flag or a command that was renamed."""
    text = path.read_text()

    assert [flag for flag in OLD_FLAGS if re.search(rf"(?<![\w-]){re.escape(flag)}", text)] == []
