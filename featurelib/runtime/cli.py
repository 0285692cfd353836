"""The command line: flags from a job's config, one-line errors, exit codes.

A job is a frozen dataclass (its fields are the flags, its docstring the help) and a function that takes it.
Exit codes: 0 success; 1 a check failed; 2 bad usage or bad data, with one line `error: ...` on stderr; 130 and 143
interrupted by Ctrl-C and by SIGTERM (`ray job stop`), also with one line.
"""

import inspect
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from cyclopts import App, CycloptsError, Parameter, UnknownCommandError, UnusedCliTokensError

from featurelib.errors import FeaturelibError, did_you_mean
from featurelib.runtime.console import OutputOptions, output_options, set_output_options
from featurelib.runtime.progress import restore_terminal

logger = logging.getLogger(__name__)

config = Parameter(name="*", consume_multiple=True, negative_iterable=())
"""Decorator of a job's dataclass: each field becomes a flag."""

hyphened = Parameter(allow_leading_hyphen=True)
"""Annotation of a field whose values may begin with a hyphen, such as the axis -y."""

OUTPUT_FLAGS = {"--quiet": "quiet", "-q": "quiet", "--verbose": "verbose", "-v": "verbose", "--json": "json"}
"""Flags of every command, valid anywhere on its line."""

EPILOGUE = (
    "Every command also takes --quiet (results and errors only), --verbose (Ray's log, tracebacks) and --json "
    "(results as JSON, one object per line; bench prints tables)."
)


def single_command(main: Callable[..., Any], name: str) -> App:
    """Return the command line of one job, for `python -m jobs.<name>`."""
    app = App(name=name, version_flags=(), help_epilogue=EPILOGUE)
    app.default(main)
    return app


RETRY_NOTES = "A worker died or was killed while executing|so the task will be retried"
"""In Ray's lines on a lost process, whose task it starts again. It prints them with log_to_driver=False too, also each
time that Ray Serve is shut down (`Task ServeController.graceful_shutdown failed`)."""


def run(app: App, tokens: list[str] | None = None) -> None:
    """Parse `tokens` (default: the process's arguments), run the command and end the process.

    Raises:
        SystemExit: always, with 0 or 2, or the code that the command exits with. An interrupt ends the process at once.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    app.suppress_keyboard_interrupt = False
    given = sys.argv[1:] if tokens is None else tokens
    if {"--help", "-h"} & set(given):
        _use_own_help(app, given)
    set_output_options(OutputOptions(**{OUTPUT_FLAGS[token]: True for token in given if token in OUTPUT_FLAGS}))
    if not output_options().verbose:
        os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", RETRY_NOTES)  # Ray reads it when it is imported
    try:
        app(
            [token for token in given if token not in OUTPUT_FLAGS],
            exit_on_error=False,
            print_error=False,
            result_action="return_none",
        )
    except (CycloptsError, FeaturelibError) as error:
        restore_terminal()
        if output_options().verbose:
            traceback.print_exc()
        logger.error("error: %s", " ".join(_message(error).split()))
        raise SystemExit(2) from None
    except KeyboardInterrupt as interrupt:
        restore_terminal()
        number = interrupt.args[0] if interrupt.args else signal.SIGINT
        logger.error("error: interrupted; run the same command to continue")
        os._exit(128 + number)  # without joining threads that wait for remote work
    finally:
        restore_terminal()
    raise SystemExit(0)


def _interrupt(number: int, _: Any) -> None:
    raise KeyboardInterrupt(number)


def _use_own_help(app: App, tokens: Sequence[str]) -> None:
    """Show the docstring of the requested command, with its example, instead of its summary in the table."""
    for token in tokens:
        if token.startswith("-") or token not in app:
            return
        app = app[token]
        if app.default_command is not None:
            app.help = inspect.getdoc(app.default_command)


def _message(error: Exception) -> str:
    if isinstance(error, UnknownCommandError) and error.app and error.unused_tokens:
        # The text of cyclopts imports the module of every command, which takes seconds.
        commands = [name for name in error.app if not name.startswith("-")]
        wrong = error.unused_tokens[0]
        return f"no command {wrong!r};{did_you_mean(wrong, commands)} expected one of {', '.join(commands)}"
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"{error.unused_tokens[0]!r} belongs to no flag; put values after their --flag (see --help)"
    # Ray raises a task's error as a FeaturelibError whose text is the task's traceback.
    return str(getattr(error, "cause", None) or error)
