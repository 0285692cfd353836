"""The declared dependencies are the packages that the code imports."""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import featurelib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()

PACKAGES = ("featurelib", "jobs", "serve")
OWN = {*PACKAGES, "tests"}

ELSEWHERE = {"eventlet", "swift"}
"""Imports of the tests' OpenStack Swift, which runs in its own Python."""


def normal(requirement: str) -> str:
    """Return the normalised name of a requirement or distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def runtime() -> set[str]:
    """Return the runtime dependencies."""
    return {normal(requirement) for requirement in PROJECT["project"]["dependencies"]}


def group(name: str) -> set[str]:
    """Return the distributions of a dependency group, including those of its nested groups."""
    found = set()
    for entry in PROJECT["dependency-groups"][name]:
        found |= {normal(entry)} if isinstance(entry, str) else group(entry["include-group"])
    return found


@cache
def imported(folder: str) -> dict[str, str]:
    """Return the third-party packages that a folder imports anywhere, each with one file that imports it."""
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module)]
            for name in {name.partition(".")[0] for name in names} - OWN - set(sys.stdlib_module_names):
                found.setdefault(name, path.relative_to(ROOT).as_posix())
    return found


@cache
def distributions() -> dict[str, set[str]]:
    """Return the installed distributions by the package they provide."""
    return {name: {normal(one) for one in those} for name, those in packages_distributions().items()}


def undeclared(folder: str, declared: set[str]) -> dict[str, str]:
    """Return the imported packages that no declared distribution provides, each with one file that imports it."""
    return {name: path for name, path in imported(folder).items() if not distributions().get(name, {name}) & declared}


def test_imports_are_found():
    """A missing dependency is found, also if package and distribution differ in name."""
    assert {"numpy", "PIL", "tensorflow"} <= set(imported("featurelib"))
    assert distributions()["PIL"] == {"pillow"}
    assert undeclared("featurelib", runtime() - {"pillow"}).keys() == {"PIL"}


@pytest.mark.parametrize("folder", PACKAGES)
def test_every_import_is_a_dependency(folder):
    """Every import is declared directly, not only as a dependency of a dependency."""
    assert undeclared(folder, runtime()) == {}


def test_every_import_of_the_tests_is_declared():
    """Imports of the tests are dependencies or in the group `dev`, except in code for another Python."""
    found = undeclared("tests", runtime() | group("dev"))

    assert {name: path for name, path in found.items() if name not in ELSEWHERE} == {}


def test_every_dependency_is_imported():
    """No dependency is unused; Starlette parses forms with python-multipart."""
    given = {one for folder in PACKAGES for name in imported(folder) for one in distributions().get(name, {name})}

    assert runtime() - given == {"python-multipart"}


def test_the_lock_file_has_every_declared_distribution():
    """It pins each of them and has no download addresses."""
    pinned = {normal(line) for line in LOCK.splitlines() if re.match(r"\w", line)}

    assert (runtime() | group("dev")) - pinned == set()
    assert "://" not in LOCK


def test_the_api_page_has_every_public_name():
    """It has each name of featurelib.__all__ once, and nothing else."""
    shown = re.findall(r"^::: featurelib\.(\w+)$", (ROOT / "docs/api.md").read_text(), re.MULTILINE)

    assert sorted(shown) == sorted(featurelib.__all__)


def test_a_type_checked_program_uses_every_public_name():
    """tests/typing/public_api.py, which `make lint` checks with mypy, imports all of featurelib.__all__."""
    tree = ast.parse((ROOT / "tests/typing/public_api.py").read_text())
    names = [a.name for n in tree.body if isinstance(n, ast.ImportFrom) and n.module == "featurelib" for a in n.names]

    assert sorted(names) == sorted(featurelib.__all__)


def test_the_package_is_marked_as_typed():
    """Type checkers use the annotations of a package only if it has py.typed."""
    assert Path(featurelib.__file__).with_name("py.typed").is_file()
