"""The structure of the source tree: imports between packages, names and lengths."""

import ast
import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from featurelib.__main__ import COMMANDS
from jobs.bench import COMMANDS as BENCH
from jobs.experiments import COMMANDS as EXPERIMENTS

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for package in ("featurelib", "jobs", "serve") for path in (ROOT / package).rglob("*.py"))
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in SOURCES}

LAYERS = (
    *("errors", "runtime", "geometry", "meshes", "rendering", "datasets"),
    *("models", "labelling", "validation", "evaluation"),
)
"""The packages of featurelib; each imports only itself and those before it."""

NETWORKS = {
    *(f"featurelib/models/detector/{name}.py" for name in ("heads", "metrics_log", "network", "training")),
    *(f"featurelib/models/refiner/{name}.py" for name in ("cascade", "network", "training")),
    *(f"featurelib/models/{name}.py" for name in ("export", "heatmaps", "keras_models", "lifter/network")),
}
"""The modules that import TensorFlow."""

HEAVY = {"fastapi", "keras", "numba", "pandas", "pyarrow", "ray", "scipy", "tensorflow"}
"""Packages that a command imports when it runs, and never for --help."""

TARGETS = [target.split(":") for target, _ in (*COMMANDS.values(), *BENCH.values(), *EXPERIMENTS.values())]
COMMAND_MODULES = sorted(module for module, name in TARGETS if name != "app")
"""The modules that `--help` of a command imports."""

MAX_BODY_LINES = 60
MAX_FILE_LINES = 250


def imports_in(nodes: Iterator[ast.AST]) -> set[str]:
    """Return the top-level packages of absolute import statements."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").partition(".")[0])
    return names


def run_at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run when a module is imported, without function bodies and `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not is_function and not is_typing:
            yield node
            yield from run_at_import(node)


def importers(*packages: str, within: str, at_import: bool = False) -> set[str]:
    """Return the files below `within` that import one of the packages anywhere, or only at import time."""
    walk = run_at_import if at_import else ast.walk
    return {name for name, tree in TREES.items() if name.startswith(within) and imports_in(walk(tree)) & set(packages)}


def test_imports_are_found():
    """Known imports are found, so the tests below can fail."""
    assert importers("ray", within="jobs/")
    assert importers("ray", within="serve/", at_import=True)
    assert importers("tensorflow", "keras", within="jobs/")
    assert importers("keras", within="featurelib/", at_import=True)


def test_the_library_does_not_import_the_cluster():
    """featurelib never imports Ray, the jobs or the server, not even inside a function."""
    assert importers("ray", "jobs", "serve", within="featurelib/") == set()


MODULES = {name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): name for name in TREES}


def imported_modules(name: str) -> set[str]:
    """Return this project's modules that a file imports, also inside functions; submodules come before names."""
    found = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {module if module in MODULES else node.module for module in submodules}
    return found & set(MODULES)


def layer_of(module: str) -> str:
    """Return the package of a module of featurelib."""
    return (*module.split("."), "")[1]


def test_packages_import_only_earlier_packages():
    """The imports of featurelib go in one direction, from evaluation to errors."""
    names = [name for name in TREES if name.startswith("featurelib/") and name.count("/") > 1]
    wrong = [
        f"{name} imports {module}"
        for name in names
        for module in imported_modules(name)
        if layer_of(module) not in LAYERS[: LAYERS.index(name.split("/")[1]) + 1]
    ]

    assert wrong == []


def test_featurelib_has_only_these_packages():
    """featurelib has nine packages and three modules."""
    modules = {path.name for path in (ROOT / "featurelib").glob("*.py")}

    assert {path.parent.name for path in (ROOT / "featurelib").glob("*/__init__.py")} == set(LAYERS) - {"errors"}
    assert modules == {"__init__.py", "__main__.py", "errors.py"}


def driver_of(command: str) -> str:
    """Return the module that does the work of a command's module."""
    package, _, name = command.rpartition(".")
    return "serve.server" if package == "serve" else f"{package}.drivers.{name}"


def test_imports_have_no_cycle():
    """No module imports itself indirectly, not even inside a function or for types.

    The exception: the function of a command imports its driver, and the driver imports the flags.
    """
    called = {command: {driver_of(command)} for command in COMMAND_MODULES}
    graph = {
        module: imported_modules(name) - {module} - called.get(module, set())
        for module, name in MODULES.items()
        if module != "featurelib"
    }
    with contextlib.suppress(StopIteration):
        while True:  # remove modules without imports of remaining modules
            leaf = next(module for module, imports in graph.items() if not imports & set(graph))
            del graph[leaf]

    assert set(graph) == set()


def test_only_the_command_table_names_the_jobs():
    """featurelib refers to jobs and serve only as text in its table of commands."""
    named = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and re.fullmatch(r"(ray|jobs|serve)(\.\w+)+(:\w+)?", str(node.value))
    }

    assert {name for name in named if name.startswith("featurelib/")} == {"featurelib/__main__.py"}


@pytest.mark.parametrize("command", COMMAND_MODULES)
def test_a_command_imports_its_driver_when_it_is_called(command):
    """Its module has the flags; the one import inside its function is `run` of its driver."""
    tree = TREES[MODULES[command]]
    nested = [ast.unparse(node) for f in tree.body if isinstance(f, ast.FunctionDef) for node in f.body[1:2]]

    assert nested == [f"from {driver_of(command)} import run"]
    assert driver_of(command) in MODULES


def test_help_of_a_command_imports_nothing_heavy():
    """The modules with the flags of all commands load none of the packages that take long to import."""
    code = f"import sys, {', '.join(COMMAND_MODULES)}; print(sorted({HEAVY} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)

    assert (run.stdout.strip(), run.returncode) == ("[]", 0), run.stderr


def test_jobs_and_serve_do_not_import_each_other():
    """They exchange files only."""
    assert importers("serve", within="jobs/") == set()
    assert importers("jobs", within="serve/") == set()


def test_only_network_modules_import_tensorflow():
    """Importing any other module does not import TensorFlow."""
    assert importers("tensorflow", "keras", within="", at_import=True) <= NETWORKS
    assert importers("tensorflow", "keras", within="featurelib/") <= NETWORKS


def test_matplotlib_is_imported_when_something_is_drawn():
    """No command or worker that draws nothing waits for it."""
    assert importers("matplotlib", within="", at_import=True) == set()
    assert importers("matplotlib", within="featurelib/")


def test_a_render_worker_imports_no_heavy_package():
    """Rendering imports neither TensorFlow nor, on a machine without a graphics card, OpenGL."""
    code = """
import sys
import jobs.drivers.render, featurelib.datasets.shards, featurelib.rendering
featurelib.rendering.open_renderer("raster").close()
print(sorted({"tensorflow", "keras", "pyrender", "OpenGL"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)

    assert (run.stdout.strip(), run.returncode) == ("[]", 0), run.stderr


@pytest.mark.parametrize("name", TREES)
def test_module_names_are_specific(name):
    """No module has a generic name."""
    assert not {*Path(name).with_suffix("").parts} & {"utils", "util", "helpers", "common", "misc", "base", "manager"}


@pytest.mark.parametrize("name", TREES)
def test_functions_and_files_are_short(name):
    """No function body exceeds 60 lines without its docstring, and no file exceeds 250."""
    functions = [n for n in ast.walk(TREES[name]) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]

    assert {f.name: body_lines(f) for f in functions if body_lines(f) > MAX_BODY_LINES} == {}
    assert len((ROOT / name).read_text().splitlines()) <= MAX_FILE_LINES


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of lines from the first statement after the docstring to the last."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0
