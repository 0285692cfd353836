"""Options of the command line: how a job's config becomes flags, how errors and exit codes look.

A job is a frozen dataclass (its fields are the flags, its docstring the help) and a function that takes it.
Exit codes: 0 done; 1 what was checked is not good; 2 bad usage or bad data, with one line `error: ...` on stderr;
130 and 143 ended by Ctrl-C and by SIGTERM (`ray job stop`), with one line too.
"""

import difflib
import inspect
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from cyclopts import App, CycloptsError, Parameter, UnknownCommandError, UnusedCliTokensError

from featurelib.errors import FeaturelibError
from featurelib.runtime.console import OutputOptions, output_options, set_output_options
from featurelib.runtime.progress import give_terminal_back

logger = logging.getLogger(__name__)

config = Parameter(name="*", consume_multiple=True, negative_iterable=())
"""Decorate a job's dataclass with this: each field becomes a flag of its own."""

hyphened = Parameter(allow_leading_hyphen=True)
"""Annotate a field with this whose values may begin with a hyphen, as the axis -y."""

MANNERS = {"--quiet": "quiet", "-q": "quiet", "--verbose": "verbose", "-v": "verbose", "--json": "json"}
"""Flags that every command takes, anywhere on its line."""

EPILOGUE = (
    "Every command also takes --quiet (results and errors only), --verbose (what Ray says, tracebacks) and --json "
    "(results as JSON, one object a line; bench prints tables)."
)


def single_command(main: Callable[..., Any], name: str) -> App:
    """Return the command line of one job, for `python -m jobs.<name>`."""
    app = App(name=name, version_flags=(), help_epilogue=EPILOGUE)
    app.default(main)
    return app


def run(app: App, tokens: list[str] | None = None) -> None:
    """Parse `tokens` (default: the process's arguments), run the command and end the process.

    Raises:
        SystemExit: always, with 0 or 2, or 1 where a command says so; an interrupted process ends here and now.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    app.suppress_keyboard_interrupt = False
    given = sys.argv[1:] if tokens is None else tokens
    if {"--help", "-h"} & set(given):
        _use_own_help(app, given)
    set_output_options(OutputOptions(**{MANNERS[token]: True for token in given if token in MANNERS}))
    try:
        app(
            [token for token in given if token not in MANNERS],
            exit_on_error=False,
            print_error=False,
            result_action="return_none",
        )
    except (CycloptsError, FeaturelibError) as error:
        give_terminal_back()
        if output_options().verbose:
            traceback.print_exc()
        logger.error("error: %s", " ".join(_message(error).split()))
        raise SystemExit(2) from None
    except KeyboardInterrupt as interrupt:
        give_terminal_back()
        number = interrupt.args[0] if interrupt.args else signal.SIGINT
        logger.error("error: interrupted; the same command goes on where it stopped")
        os._exit(128 + number)  # threads that still wait for work elsewhere would keep the process
    finally:
        give_terminal_back()
    raise SystemExit(0)


def _interrupt(number: int, _: Any) -> None:
    raise KeyboardInterrupt(number)


def _use_own_help(app: App, tokens: Sequence[str]) -> None:
    """Give the command that is asked for help its docstring, with its example, in place of the table's summary."""
    for token in tokens:
        if token.startswith("-") or token not in app:
            return
        app = app[token]
        if app.default_command is not None:
            app.help = inspect.getdoc(app.default_command)


def _message(error: Exception) -> str:
    if isinstance(error, UnknownCommandError) and error.app and error.unused_tokens:
        # Its own text imports the module of every command first, which takes seconds.
        commands = [name for name in error.app if not name.startswith("-")]
        wrong = error.unused_tokens[0]
        return f"no command {wrong!r};{_did_you_mean(wrong, commands)} expected one of {', '.join(commands)}"
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"{error.unused_tokens[0]!r} belongs to no flag; values come after their --flag (see --help)"
    # An error that comes from a Ray task is a FeaturelibError too, but its text is the task's traceback.
    return str(getattr(error, "cause", None) or error)


def _did_you_mean(wrong: str, known: Sequence[str]) -> str:
    like = difflib.get_close_matches(wrong, known, n=1)
    return f" did you mean {like[0]}?" if like else ""
