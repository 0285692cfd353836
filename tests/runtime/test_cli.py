import logging
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Literal

import pytest

from featurelib.__main__ import COMMANDS, make_app
from featurelib.errors import DataError, UsageError
from featurelib.runtime import cli
from featurelib.runtime.console import print_result

logger = logging.getLogger("jobs.greet")


@cli.config
@dataclass(frozen=True, kw_only=True)
class BakeConfig:
    """What to bake.

    Attributes:
        dough: Folder with the dough.
        heat: How hot.
        minutes: How long, in minutes.
        trays: Which trays.
        dry_run: Only print the plan.
    """

    dough: str
    heat: Literal["low", "high"] = "low"
    minutes: int = 30
    trays: tuple[int, ...] = (1, 2)
    dry_run: bool = False


def bake(config: BakeConfig) -> None:
    """Bake the dough."""
    if config.minutes > 60:
        raise DataError(f"{config.dough}: burnt\n  after {config.minutes} minutes; expected 60 at most")
    if config.minutes < 0:
        raise UsageError(f"--minutes {config.minutes}: expected at least 0")
    print(config)


SPECIFIC_FLAGS = {
    "align": "--front",
    "import-dataset": "--landmarks",
    "export-landmarks": "--predictions",
    "validate": "--out",
    "bench render": "--image-size",
    "bench vectorize": "--batch-sizes",
    "bench plan": "--objects",
}
"""A flag in the help of a command; the others have --run."""


def ran(*flags: str) -> int:
    """Run the command and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        cli.run(cli.single_command(bake, "bake"), list(flags))
    return ended.value.code


def test_flags_are_the_fields(capsys):
    """Each field of the config is a flag; a flag may have several values."""
    assert ran("--dough", "d", "--heat", "high", "--minutes", "5", "--trays", "3", "4", "--dry-run") == 0

    out, err = capsys.readouterr()
    assert out == f"{BakeConfig(dough='d', heat='high', minutes=5, trays=(3, 4), dry_run=True)}\n"
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
    """Wrong flags or data give one line `error: ...` that names the fault on stderr, and nothing on stdout."""
    assert ran(*flags) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert all(name in err for name in names)


def test_help_shows_every_flag_with_its_default(capsys):
    """`--help` exits with 0 and shows each flag with description and default."""
    assert ran("--help") == 0

    text = " ".join(capsys.readouterr().out.split())
    assert all(f"--{flag}" in text for flag in ("dough", "heat", "minutes", "trays", "dry"))
    assert "How long, in minutes." in text
    assert "default: 30" in text
    assert "Bake the dough." in text


def test_an_error_of_a_ray_task_is_one_line(capsys):
    """A DataError from a worker has a traceback as its text; only the message is shown."""
    from ray.exceptions import RayTaskError

    message = "meshes/a.ply: the file is empty"
    error = RayTaskError("register", "Traceback (most recent call last):\n  File ...\n", DataError(message))

    def fail() -> None:
        raise error.as_instanceof_cause()

    with pytest.raises(SystemExit) as ended:
        cli.run(cli.single_command(fail, "fail"), [])

    assert (ended.value.code, capsys.readouterr().err) == (2, f"error: {message}\n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rendre", f"error: no command 'rendre'; did you mean render? expected one of {', '.join(COMMANDS)}\n"),
        ("rendr --dataset d --run r", "no command 'rendr'; did you mean render?"),
        ("bench rendr", "no command 'rendr'; did you mean render?"),
        ("render --run r", "--dataset requires an argument"),
        ("render --dataset", "--dataset requires an argument"),
        ("render --dataset d --run r --imge-size 64", "Unknown option: --imge-size. Did you mean --image-size?"),
        ("render --dataset d --run r --image-size big", 'unable to convert "big" into int'),
        ("render --dataset d --run r --projections side", 'Choose from: "orthographic", "perspective"'),
        ("render --dataset d --dataset e --run r", "--dataset specified multiple times"),
        ("render --dataset d --run r heads", "'heads' belongs to no flag; put values after their --flag"),
        ("render --dataset nowhere --run r", "nowhere/dataset.json: cannot be read (No such file or directory)"),
        ("evaluate --run nowhere", "no trained lifter; run `featurelib train-lifter`"),
        ("import-dataset --out nowhere", "nowhere/dataset.json: no such file; give --landmark and --unit, as in"),
        ("validate --dataset d --out", "--out requires an argument"),
    ],
)
def test_wrong_usage_exits_with_2_and_one_line(capsys, line, message):
    """The line names the fault and the expectation; nothing else is printed."""
    with pytest.raises(SystemExit) as ended:
        cli.run(make_app(), line.split())

    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")
    assert message in err


def greet(name: str) -> None:
    """Greet."""
    logger.info("thinking")
    print_result(f"hello {name}", {"greeted": name})
    if name == "nobody":
        raise DataError("nobody: is not there")


def output_of(capsys, *tokens: str) -> tuple[str, str]:
    """Return stdout and stderr of a command."""
    with pytest.raises(SystemExit):
        cli.run(cli.single_command(greet, "greet"), [*tokens])
    return tuple(capsys.readouterr())


def test_results_go_to_stdout_and_progress_to_stderr(capsys):
    """--quiet omits progress and --json prints each result as one line of JSON, in any position."""
    assert output_of(capsys, "--name", "Ada") == ("hello Ada\n", "thinking\n")
    assert output_of(capsys, "--quiet", "--name", "Ada") == ("hello Ada\n", "")
    assert output_of(capsys, "--name", "Ada", "--json", "-q") == ('{"greeted": "Ada"}\n', "")


def test_verbose_shows_the_traceback(capsys):
    """The last line is the same as without --verbose."""
    plain, verbose = (output_of(capsys, "--name", "nobody", *flags)[1].splitlines() for flags in ((), ("--verbose",)))

    assert plain == ["thinking", "error: nobody: is not there"]
    assert verbose[1].startswith("Traceback")
    assert verbose[-1] == plain[-1]


def commands() -> list[str]:
    """Return all commands, including those of `bench`."""
    from jobs.bench import COMMANDS as BENCH

    return [*(name for name in COMMANDS if name != "bench"), *(f"bench {name}" for name in BENCH)]


@pytest.mark.parametrize("command", commands())
def test_every_command_has_help_with_an_example(capsys, command):
    """It has the command, its flags and an example whose flags exist and whose values are valid."""
    with pytest.raises(SystemExit) as ended:
        cli.run(make_app(), [*command.split(), "--help"])
    text = " ".join(capsys.readouterr().out.split())

    assert ended.value.code == 0
    assert f"featurelib {command}" in text
    assert SPECIFIC_FLAGS.get(command, "--run") in set(re.findall(r"--[a-z][a-z-]*", text))
    examples = re.findall(rf"Example: featurelib ({command}(?: [^╭]*?)?) (?=╭|Every|Example:)", text)
    assert examples, text
    for example in examples:
        make_app().parse_args(shlex.split(example), exit_on_error=False, print_error=False)


def test_the_command_line_lists_all_commands_and_imports_none():
    """`featurelib --help` names every command and imports neither Ray nor TensorFlow."""
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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_command_prints_one_line(number, code):
    """Also while another thread runs; the exit code depends on the signal."""
    program = """
import signal, threading, time
from featurelib.runtime import cli
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background ignores it
def wait():
    threading.Thread(target=time.sleep, args=(60,)).start()
    print("ready", flush=True)
    time.sleep(60)
cli.run(cli.single_command(wait, "wait"), [])
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=20)

    assert err == b"error: interrupted; run the same command to continue\n"
    assert process.returncode == code
