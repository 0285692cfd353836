"""Manners of the command line: how a job's config becomes flags, how errors and exit codes look.

A job is a frozen dataclass (its fields are the flags, its docstring the help) and a function that takes it.
Exit codes: 0 done; 2 bad usage or bad data, with one line `error: ...` on stderr.
"""

import sys
from collections.abc import Callable
from typing import Any

from cyclopts import App, CycloptsError, Parameter, UnknownCommandError

from featurelib.errors import FeaturelibError

config = Parameter(name="*", consume_multiple=True, negative_iterable=())
"""Decorate a job's dataclass with this: each field becomes a flag of its own."""


def single_command(main: Callable[..., Any], name: str) -> App:
    """Return the command line of one job, for `python -m jobs.<name>`."""
    app = App(name=name, version_flags=())
    app.default(main)
    return app


def run(app: App, tokens: list[str] | None = None) -> None:
    """Parse `tokens` (default: the process's arguments), run the command and end the process.

    Raises:
        SystemExit: always, with 0 or 2.
    """
    try:
        app(
            sys.argv[1:] if tokens is None else tokens,
            exit_on_error=False,
            print_error=False,
            result_action="return_none",
        )
    except (CycloptsError, FeaturelibError) as error:
        print(f"error: {' '.join(_message(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None
    raise SystemExit(0)


def _message(error: Exception) -> str:
    if isinstance(error, UnknownCommandError) and error.app and error.unused_tokens:
        # Its own text imports the module of every command first, which takes seconds.
        commands = ", ".join(name for name in error.app if not name.startswith("-"))
        return f"no command {error.unused_tokens[0]!r}; expected one of {commands}"
    # An error that comes from a Ray task is a FeaturelibError too, but its text is the task's traceback.
    return str(getattr(error, "cause", None) or error)
