"""What the documents say can be done as they say it."""

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
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").glob("*.md")])


def blocks(page: Path, language: str = "") -> list[str]:
    """The page's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """Every `featurelib ...` line of a page: in its blocks, and in its text where flags stand with it."""
    found = []
    for block in blocks(page):
        lines = block.replace("\\\n", " ").splitlines()
        found += [line for line in lines if re.match(r"(\.venv/bin/)?featurelib [a-z-]", line)]
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found += [line for line in re.findall(r"`(featurelib [^`]*--[^`]*)`", text) if "..." not in line]
    return [re.sub(r"\s+#.*", "", line) for line in found]


CASES = [(page.name, line) for page in PAGES for line in commands(page)]


def test_there_are_commands_to_look_at():
    """The test below would find what it looks for."""
    assert len(CASES) > 20


@pytest.mark.parametrize(("page", "line"), CASES)
def test_every_command_in_the_documents_parses(page, line):
    """Its flags are there, their values fit, and nothing needed is missing."""
    app, tokens = make_app(), shlex.split(line)[1:]
    if tokens[0].startswith("--"):
        assert tokens[0] in app
    else:
        app.parse_args(tokens, exit_on_error=False, print_error=False)


def test_the_tutorial_needs_few_commands():
    """From the clone to predictions: at most eight that are needed, the alternatives not counted."""
    lines = [line for block in blocks(ROOT / "docs/tutorial.md") for line in block.splitlines()]
    needed = ("git clone", "make setup", "import-dataset", "validate", "pipeline", "predict")
    alternatives = ("--weights none", "align", "export-landmarks", "serve")

    path = [line for line in lines if not any(word in line for word in alternatives)]
    assert len(path) <= 8
    assert all(any(word in line for line in path) for word in needed)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_of_the_documents_runs(page):
    """Each block by itself, its own assertions included."""
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), {})


def test_the_notebook_runs():
    """From top to bottom, in one namespace; its last cells say that a point is found within a pixel."""
    cells = json.loads((ROOT / "docs/first_look.ipynb").read_text())["cells"]
    names: dict = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), "first_look.ipynb", "exec"), names)

    assert len(names["tiles"]) == 9
    assert names["error_mm"] < names["FRAME_MM"] / names["SIZE"]


def test_the_figure_of_the_frames_is_what_the_code_draws():
    """Its angles are the rig's."""
    drawn = runpy.run_path(str(ROOT / "docs/images/make_frames.py"))["drawing"]()

    assert (ROOT / "docs/images/frames.svg").read_text() == drawn
    assert [f"{angle:+g}°" in drawn for angle in (-90, -67.5, 0, 45, 90)] == [True] * 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Relative links are files of the repository."""
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())

    assert [link for link in targets if "://" not in link and not (page.parent / link).exists()] == []


def test_the_public_names_are_those_of_the_page():
    """Each name of featurelib.__all__ is there, and docs/python.md has it."""
    text = (ROOT / "docs/python.md").read_text()

    assert [name for name in featurelib.__all__ if f"`{name}`" not in text] == []
    assert all(getattr(featurelib, name) is not None for name in featurelib.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = featurelib.nothing


def test_the_stubs_for_type_checkers_are_the_lazy_names():
    """What `if TYPE_CHECKING` imports is what __getattr__ finds."""
    tree = ast.parse((ROOT / "featurelib/__init__.py").read_text())
    imported = {
        a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and "." in str(n.module) for a in n.names
    }

    assert imported == set(featurelib.__all__)
