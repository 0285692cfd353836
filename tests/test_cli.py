import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Literal

import pytest

from featurelib import cli
from featurelib.__main__ import COMMANDS, make_app
from featurelib.errors import DataError, UsageError


@cli.config
@dataclass(frozen=True, kw_only=True)
class BakeConfig:
    """What to bake.

    Attributes:
        dough: Folder with the dough.
        heat: How hot.
        minutes: How long, in minutes.
        trays: Which trays.
        dry: Only say what would be done.
    """

    dough: str
    heat: Literal["low", "high"] = "low"
    minutes: int = 30
    trays: tuple[int, ...] = (1, 2)
    dry: bool = False


def bake(config: BakeConfig) -> None:
    """Bake the dough."""
    if config.minutes > 60:
        raise DataError(f"{config.dough}: burnt\n  after {config.minutes} minutes; expected 60 at most")
    if config.minutes < 0:
        raise UsageError(f"--minutes {config.minutes}: expected at least 0")
    print(config)


NO_RUN = ("bench", "validate", "import-dataset", "export-landmarks")
"""Commands without the flag --run."""


def ran(*flags: str) -> int:
    """Run the command and return the exit code."""
    with pytest.raises(SystemExit) as ended:
        cli.run(cli.single_command(bake, "bake"), list(flags))
    return ended.value.code


def test_flags_are_the_fields(capsys):
    """Each field of the config is a flag of its own; a flag may take several values."""
    assert ran("--dough", "d", "--heat", "high", "--minutes", "5", "--trays", "3", "4", "--dry") == 0

    out, err = capsys.readouterr()
    assert out == f"{BakeConfig(dough='d', heat='high', minutes=5, trays=(3, 4), dry=True)}\n"
    assert err == ""


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ([], ["--dough"]),
        (["--dough", "d", "--speed", "9"], ["--speed"]),
        (["--dough", "d", "--heat", "medium"], ["--heat", "medium", "low", "high"]),
        (["--dough", "d", "--minutes", "five"], ["--minutes", "five"]),
        (["--dough", "d", "--trays", "1", "b"], ["--trays", "b"]),
        (["--dough"], ["--dough"]),
        (["--dough", "d", "--minutes", "-1"], ["--minutes", "-1", "expected at least 0"]),
        (["--dough", "d", "--minutes", "99"], ["d: burnt after 99 minutes; expected 60 at most"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_errors_are_one_line_and_code_2(capsys, flags, names):
    """Whatever is wrong with flags or data, stderr is one line `error: ...` that names it; stdout is empty."""
    assert ran(*flags) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert all(name in err for name in names)


def test_help_gives_every_flag_with_its_default(capsys):
    """`--help` ends well and shows each flag, what it is and its default."""
    assert ran("--help") == 0

    text = " ".join(capsys.readouterr().out.split())
    assert all(f"--{flag}" in text for flag in ("dough", "heat", "minutes", "trays", "dry"))
    assert "How long, in minutes." in text
    assert "default: 30" in text
    assert "Bake the dough." in text


def test_an_error_from_a_ray_task_is_its_own_message(capsys):
    """A DataError raised in a worker comes back with a traceback for its text; the user sees the message alone."""
    from ray.exceptions import RayTaskError

    message = "meshes/a.ply: the file is empty"
    error = RayTaskError("register", "Traceback (most recent call last):\n  File ...\n", DataError(message))

    def fail() -> None:
        raise error.as_instanceof_cause()

    with pytest.raises(SystemExit) as ended:
        cli.run(cli.single_command(fail, "fail"), [])

    assert (ended.value.code, capsys.readouterr().err) == (2, f"error: {message}\n")


def test_an_unknown_command_is_one_line(capsys):
    """A misspelt command is bad usage."""
    with pytest.raises(SystemExit) as ended:
        cli.run(make_app(), ["rendre"])

    err = capsys.readouterr().err
    assert (ended.value.code, err) == (2, f"error: no command 'rendre'; expected one of {', '.join(COMMANDS)}\n")


@pytest.mark.parametrize(
    ("command", "flag"),
    [(command, "--run") for command in COMMANDS if command not in NO_RUN]
    + [
        ("import-dataset", "--landmarks"),
        ("export-landmarks", "--predictions"),
        ("validate", "--out"),
        ("bench render", "--image-size"),
        ("bench vectorize", "--batch-sizes"),
        ("bench plan", "--objects"),
    ],
)
def test_every_command_has_help(capsys, command, flag):
    """The text of the table leads to a command whose every flag is explained."""
    with pytest.raises(SystemExit) as ended:
        cli.run(make_app(), [*command.split(), "--help"])

    text = capsys.readouterr().out
    flags = set(re.findall(r"--[a-z][a-z-]*", text))
    assert ended.value.code == 0
    assert f"featurelib {command}" in text
    assert flag in flags


def test_the_command_line_lists_all_commands_and_loads_none():
    """`featurelib --help` is quick: it names every command, and neither Ray nor TensorFlow is imported for it."""
    code = """
import sys
from featurelib.__main__ import main
sys.argv[1:] = ["--help"]
try:
    main()
except SystemExit as ended:
    heavy = {"ray", "tensorflow", "keras", "jobs", "serve"} & set(sys.modules)
    print("code", ended.code, "loaded", sorted(heavy))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)

    *text, last = run.stdout.splitlines()
    assert last == "code 0 loaded []"
    assert run.stderr == ""
    listed = {word for line in text for word in line.split()}
    assert listed.issuperset(COMMANDS)
    summaries = " ".join(" ".join(text).replace("│", " ").split())
    assert all(summary in summaries for _, summary in COMMANDS.values())
