"""The documentation: its commands parse, its Python runs, its links exist."""

import ast
import json
import re
import runpy
import shlex
from pathlib import Path

import pytest

import featurelib
from featurelib.__main__ import make_app

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(page: Path, language: str = "") -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """Return every `featurelib ...` line of a page: in its blocks, and in its text if it has flags."""
    found = []
    for block in blocks(page):
        lines = block.replace("\\\n", " ").splitlines()
        found += [line for line in lines if re.match(r"(\.venv/bin/)?featurelib [a-z-]", line)]
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found += [line for line in re.findall(r"`(featurelib [^`]*--[^`]*)`", text) if "..." not in line]
    return [re.sub(r"\s+#.*", "", line) for line in found]


CASES = [(page.name, line) for page in PAGES for line in commands(page)]


def test_commands_are_found():
    """The pages have commands, so the test below can fail."""
    assert len(CASES) > 20


@pytest.mark.parametrize(("page", "line"), CASES)
def test_every_command_in_the_documents_parses(page, line):
    """Its flags exist, their values are valid, and no required flag is missing."""
    app, tokens = make_app(), shlex.split(line)[1:]
    if tokens[0].startswith("--"):
        assert tokens[0] in app
    else:
        app.parse_args(tokens, exit_on_error=False, print_error=False)


def test_the_tutorial_has_few_commands():
    """At most eight commands lead from the clone to predictions, without the alternatives."""
    lines = [line for block in blocks(ROOT / "docs/tutorial.md") for line in block.splitlines()]
    needed = ("git clone", "make setup", "import-dataset", "validate", "pipeline", "predict")
    alternatives = ("--weights none", "align", "suggest", "export-landmarks", "serve")

    path = [line for line in lines if not any(word in line for word in alternatives)]
    assert len(path) <= 8
    assert all(any(word in line for line in path) for word in needed)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_of_the_documents_runs(page):
    """Each block runs alone, with its assertions."""
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), {})


def test_the_notebook_runs():
    """Its cells run in order in one namespace, and it finds a point within a pixel."""
    cells = json.loads((ROOT / "docs/first_look.ipynb").read_text())["cells"]
    names: dict = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), "first_look.ipynb", "exec"), names)

    assert len(names["tiles"]) == 9
    assert names["error_mm"] < names["FRAME_MM"] / names["SIZE"]


def test_the_figure_of_the_frames_is_up_to_date():
    """It equals the drawing of its script and shows the angles of the rig."""
    drawn = runpy.run_path(str(ROOT / "docs/images/make_frames.py"))["drawing"]()

    assert (ROOT / "docs/images/frames.svg").read_text() == drawn
    assert [f"{angle:+g}°" in drawn for angle in (-90, -67.5, 0, 45, 90)] == [True] * 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_exist(page):
    """Relative links are files of the repository."""
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())

    assert [link for link in targets if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_places_exist(page):
    """Each path of the repository in code style exists; `make setup` creates vendor/."""
    places = re.findall(r"`((?:featurelib|jobs|serve|tests|docs|cluster)/[\w./-]*)`", page.read_text())

    assert [place for place in places if "/vendor/" not in place and not (ROOT / place).exists()] == []


def test_the_public_names_are_documented():
    """Each name of featurelib.__all__ exists and is in docs/python.md."""
    text = (ROOT / "docs/python.md").read_text()

    assert [name for name in featurelib.__all__ if f"`{name}`" not in text] == []
    assert all(getattr(featurelib, name) is not None for name in featurelib.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = featurelib.nothing


def test_type_checkers_see_the_lazy_names():
    """`if TYPE_CHECKING` imports the names that __getattr__ finds."""
    tree = ast.parse((ROOT / "featurelib/__init__.py").read_text())
    imported = {
        a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and "." in str(n.module) for a in n.names
    }

    assert imported == set(featurelib.__all__)
