"""Plots as SVG files and as parts of a page."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from featurelib.evaluation.figures import MUTED, SERIES, Plot, inline, svg

ROOT = Path(__file__).parents[2]
WICKED = """<script>"$1" & 'b'</script>"""
PLOT = Plot((300, 200), f"described {WICKED}", lambda axes: axes.plot([1, 2], [3, 4], label="a", gid="title: line"))


def test_a_plot_is_the_same_file_each_time():
    """It has a size, a title and a description, and no date."""
    file = svg(PLOT, "a", "Titled")

    assert file == svg(PLOT, "a", "Titled") != svg(PLOT, "b", "Titled")
    assert "<title>Titled</title>" in file
    assert 'viewBox="0 0 300 200"' in file
    assert "dc:date" not in file


def test_a_plot_on_a_page_is_accessible(parsed):
    """A screen reader gets title and description, by ids that belong to this plot; a named line has a tooltip."""
    [plot] = parsed(inline(PLOT, "a", WICKED)).all("svg")

    title, tooltip = plot.all("title")
    [description] = plot.all("desc")
    assert plot.attributes["role"] == "img"
    assert plot.attributes["aria-labelledby"] == title.attributes["id"] == "a-title"
    assert plot.attributes["aria-describedby"] == description.attributes["id"] == "a-desc"
    assert (title.text, tooltip.text, description.text) == (WICKED, "line", f"described {WICKED}")


def test_text_in_a_plot_is_text(parsed):
    """It can be searched, and neither HTML nor TeX in it is interpreted."""
    plot = Plot((300, 200), "", lambda axes: axes.set(title=WICKED, xlabel="$x^2$"))

    assert {WICKED, "$x^2$"} <= {text.text for text in parsed(inline(plot, "a", "b")).all("text")}


def test_a_page_chooses_the_colours():
    """Each colour is a variable of the style sheet, light or dark; a file has the light ones."""
    plot = Plot((300, 200), "", lambda axes: axes.plot([1, 2], [3, 4], color=SERIES[3]))

    assert all(colour in svg(plot, "a", "b") for colour in (SERIES[3], MUTED))
    assert "var(--c4)" in inline(plot, "a", "b")
    assert "#" not in inline(plot, "a", "b").replace("url(#", "").replace('href="#', "")


@pytest.mark.parametrize("config", [{}, {"MPLCONFIGDIR": "/dev/null/config"}])
def test_nothing_is_written_to_the_home_folder(tmp_path, config):
    """A process without a writable home draws without a warning, and leaves no font cache anywhere."""
    code = "from tests.evaluation.test_figures import PLOT, svg; print(svg(PLOT, 'a', 'Titled'), end='')"
    env = {**os.environ, "HOME": "/dev/null/home", "TMPDIR": str(tmp_path), **config}
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, check=True)

    assert done.stderr == ""
    assert done.stdout == svg(PLOT, "a", "Titled")
    assert list(tmp_path.iterdir()) == []
