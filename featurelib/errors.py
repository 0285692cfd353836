"""Errors that are reported to the user, as one family.

FeaturelibError
├── UsageError     an invalid flag or combination of flags
├── DataError      a file, dataset or run that does not conform to docs/records.md
│   └── ConflictError  a file that another writer has changed
├── MachineError   this machine or its cluster cannot do what it should, such as start Ray
└── GeometryError  numbers without a geometric solution (parallel rays, a point behind a camera)
"""

import difflib
from collections.abc import Collection


class FeaturelibError(Exception):
    """Base class of errors whose message is for the user: one line with file, value and fix."""


class UsageError(FeaturelibError, ValueError):
    """An invalid flag or combination of flags."""


class DataError(FeaturelibError, ValueError):
    """A file, dataset or run that does not conform to docs/records.md."""


class ConflictError(DataError):
    """A file that another writer has changed since it was read."""


class MachineError(FeaturelibError, RuntimeError):
    """This machine or its cluster cannot do what it should, such as start Ray."""


class GeometryError(FeaturelibError, ValueError):
    """Numbers without a geometric solution, such as parallel rays."""


def did_you_mean(wrong: str, known: Collection[str]) -> str:
    """Return " did you mean <name>?" with the known name that is most like a wrong one; "" if none is like it."""
    like = difflib.get_close_matches(wrong, known, n=1)
    return f" did you mean {like[0]}?" if like else ""
