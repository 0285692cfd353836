"""What is installed with the project is what its code imports."""

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
"""What the tests' OpenStack Swift imports: it runs in a Python of its own."""


def normal(requirement: str) -> str:
    """The name in a requirement or of a distribution, in the one spelling that counts."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def runtime() -> set[str]:
    """The distributions that a user gets."""
    return {normal(requirement) for requirement in PROJECT["project"]["dependencies"]}


def group(name: str) -> set[str]:
    """The distributions of a dependency group, with the groups that it includes."""
    found = set()
    for entry in PROJECT["dependency-groups"][name]:
        found |= {normal(entry)} if isinstance(entry, str) else group(entry["include-group"])
    return found


@cache
def imported(folder: str) -> dict[str, str]:
    """Every third-party package that a folder's Python imports, anywhere in a file, with one file that does."""
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
    """The distributions that give each package that can be imported here."""
    return {name: {normal(one) for one in those} for name, those in packages_distributions().items()}


def undeclared(folder: str, declared: set[str]) -> dict[str, str]:
    """The packages that a folder imports and no declared distribution gives, with a file that imports each."""
    return {name: path for name, path in imported(folder).items() if not distributions().get(name, {name}) & declared}


def test_imports_are_seen():
    """The checks below would find what they look for, under the names of distributions that differ."""
    assert {"numpy", "PIL", "tensorflow"} <= set(imported("featurelib"))
    assert distributions()["PIL"] == {"pillow"}
    assert undeclared("featurelib", runtime() - {"pillow"}).keys() == {"PIL"}


@pytest.mark.parametrize("folder", PACKAGES)
def test_every_import_is_a_dependency(folder):
    """What a package imports is declared by its own name, not left to what something else happens to bring."""
    assert undeclared(folder, runtime()) == {}


def test_every_import_of_the_tests_is_declared():
    """As a dependency or in the group `dev`, but for what runs in another Python."""
    found = undeclared("tests", runtime() | group("dev"))

    assert {name: path for name, path in found.items() if name not in ELSEWHERE} == {}


def test_every_dependency_is_imported():
    """Nothing is installed that no code asks for."""
    given = {one for folder in PACKAGES for name in imported(folder) for one in distributions().get(name, {name})}

    assert runtime() - given == set()


def test_the_lock_has_every_declared_distribution():
    """With one version each, and with no address of where they come from."""
    pinned = {normal(line) for line in LOCK.splitlines() if re.match(r"\w", line)}

    assert (runtime() | group("dev")) - pinned == set()
    assert "://" not in LOCK


def test_the_api_page_has_every_public_name():
    """Each name of featurelib.__all__ once, and nothing else."""
    shown = re.findall(r"^::: featurelib\.(\w+)$", (ROOT / "docs/api.md").read_text(), re.MULTILINE)

    assert sorted(shown) == sorted(featurelib.__all__)


def test_a_type_checked_program_uses_every_public_name():
    """tests/typing/public_api.py, which `make lint` gives to mypy, imports all of featurelib.__all__."""
    tree = ast.parse((ROOT / "tests/typing/public_api.py").read_text())
    names = [a.name for n in tree.body if isinstance(n, ast.ImportFrom) and n.module == "featurelib" for a in n.names]

    assert sorted(names) == sorted(featurelib.__all__)


def test_users_get_the_types():
    """The marker by which type checkers believe a package's annotations lies beside its code."""
    assert Path(featurelib.__file__).with_name("py.typed").is_file()
