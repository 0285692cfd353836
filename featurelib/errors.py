"""What can be wrong with a user's input, as one exception family.

FeaturelibError
├── UsageError     a flag or a combination of flags makes no sense
├── DataError      a file, a dataset or a run is not as documented
│   └── ConflictError  somebody else wrote the file meanwhile
└── GeometryError  a computation has no answer for these numbers (parallel rays, a point behind a camera)
"""


class FeaturelibError(Exception):
    """Base of every error whose message is meant for the user: one line that names file, value and fix."""


class UsageError(FeaturelibError, ValueError):
    """A flag, or a combination of flags, that cannot be carried out."""


class DataError(FeaturelibError, ValueError):
    """A file, dataset or run that is not as docs/records.md says."""


class ConflictError(DataError):
    """A file that was to be replaced is no longer the one that was read."""


class GeometryError(FeaturelibError, ValueError):
    """Numbers for which the geometry has no answer, such as parallel rays."""
