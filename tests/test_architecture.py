import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for package in ("featurelib", "jobs", "serve") for path in (ROOT / package).rglob("*.py"))
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in SOURCES}

NETWORKS = {
    *(f"featurelib/detector/{name}.py" for name in ("curve", "heads", "maps", "model", "network", "training")),
    *(f"featurelib/closeup/{name}.py" for name in ("calibration", "course", "model", "network", "refiner", "training")),
    *(f"featurelib/lifter/{name}.py" for name in ("network", "model")),
    "featurelib/finder.py",
    "featurelib/forward.py",
}
"""The modules in which a network lives: those who import them get TensorFlow."""

MAX_BODY_LINES = 60
MAX_FILE_LINES = 400


def imports_in(nodes: Iterator[ast.AST]) -> set[str]:
    """The top-level packages that import statements name; relative imports stay within their own."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").partition(".")[0])
    return names


def run_at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run when a module is imported: function bodies and `if TYPE_CHECKING` are left out."""
    for node in ast.iter_child_nodes(tree):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not is_function and not is_typing:
            yield node
            yield from run_at_import(node)


def importers(*packages: str, within: str, at_import: bool = False) -> set[str]:
    """The files below `within` that import one of the packages: anywhere, or when they are imported themselves."""
    walk = run_at_import if at_import else ast.walk
    return {name for name, tree in TREES.items() if name.startswith(within) and imports_in(walk(tree)) & set(packages)}


def test_the_tests_see_imports():
    """The checks below would find what they look for: what is there is found."""
    assert importers("ray", within="jobs/")
    assert importers("ray", within="serve/", at_import=True)
    assert importers("tensorflow", "keras", within="jobs/")
    assert importers("keras", within="featurelib/", at_import=True)


def test_the_library_knows_nothing_of_the_cluster():
    """featurelib imports neither Ray, nor the jobs, nor the server, not even inside a function."""
    assert importers("ray", "jobs", "serve", within="featurelib/") == set()


def test_only_the_table_of_commands_names_the_jobs():
    """The one way from featurelib to jobs and serve is the text in its table of commands."""
    named = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and re.fullmatch(r"(ray|jobs|serve)(\.\w+)+(:\w+)?", str(node.value))
    }

    assert {name for name in named if name.startswith("featurelib/")} == {"featurelib/__main__.py"}


def test_jobs_and_server_meet_in_files_only():
    """Neither imports the other."""
    assert importers("serve", within="jobs/") == set()
    assert importers("jobs", within="serve/") == set()


def test_tensorflow_is_where_the_networks_are():
    """Importing any other module does not import TensorFlow, so that a render worker stays light."""
    assert importers("tensorflow", "keras", within="", at_import=True) <= NETWORKS
    assert importers("tensorflow", "keras", within="featurelib/") <= NETWORKS


def test_a_render_worker_is_light():
    """What renders needs neither TensorFlow nor, on a machine without a graphics card, OpenGL."""
    code = """
import sys
import jobs.render, featurelib.shards, featurelib.rendering
featurelib.rendering.open_renderer("raster").close()
print(sorted({"tensorflow", "keras", "pyrender", "OpenGL"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)

    assert (run.stdout.strip(), run.returncode) == ("[]", 0), run.stderr


@pytest.mark.parametrize("name", TREES)
def test_names_say_what_is_inside(name):
    """No module is called after nothing in particular."""
    assert not {*Path(name).with_suffix("").parts} & {"utils", "util", "helpers", "common", "misc", "base", "manager"}


@pytest.mark.parametrize("name", TREES)
def test_functions_and_files_are_short(name):
    """No function's body is longer than 60 lines without its docstring, and no file longer than 400."""
    functions = [n for n in ast.walk(TREES[name]) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]

    assert {f.name: body_lines(f) for f in functions if body_lines(f) > MAX_BODY_LINES} == {}
    assert len((ROOT / name).read_text().splitlines()) <= MAX_FILE_LINES


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines from the first statement after the docstring to the last."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0
