"""Output of a command: results go to stdout; notes, warnings and errors go to stderr through `logging`.

Every module logs to `logging.getLogger(__name__)`. Only the command line installs a handler, so a program that imports
the library chooses its own.
"""

import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LOGGERS = ("featurelib", "jobs", "serve", "__main__")
"""Parents of every logger of this project; the last is the module of `python -m jobs.<name>`."""


@dataclass(frozen=True)
class OutputOptions:
    """What a command prints.

    Attributes:
        quiet: Print results and errors only.
        verbose: Also print Ray's log, and the traceback of an error.
        json: Print each result as one line of JSON.
    """

    quiet: bool = False
    verbose: bool = False
    json: bool = False


class _Console(logging.Handler):
    """Write each message to the current stderr, which a display of progress bars replaces while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        print(self.format(record), file=sys.stderr, flush=True)  # noqa: T201 (the one place for notes)


_console = _Console()
_options = OutputOptions()


def output_options() -> OutputOptions:
    """Return the output options of this process."""
    return _options


def set_output_options(options: OutputOptions) -> None:
    """Set the output options of this process and send its log to the console; worker processes never call it."""
    global _options
    _options = options
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [_console], False
        logger.setLevel(logging.ERROR if options.quiet else logging.INFO)


def print_result(text: str, values: Mapping[str, Any] | None = None) -> None:
    """Print a result to stdout: with --json its `values`, if any, as one line of JSON; otherwise the text."""
    as_json = _options.json and values is not None
    print(json.dumps(values, default=str) if as_json else text, flush=True)  # noqa: T201 (the one place for results)
