"""Plots as SVG, drawn by matplotlib. The same plot and name give the same bytes."""

import io
import os
import re
import tempfile
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, RULE, PAPER = "#191d22", "#59626d", "#d5dbe2", "#ffffff"
SERIES = ("#0b5cbd", "#c8500a", "#147a4b", "#8a3fb5", "#b8245c", "#7a6300")

COLOURS = {"ink": INK, "muted": MUTED, "rule": RULE, "paper": PAPER, **{f"c{i}": c for i, c in enumerate(SERIES, 1)}}
"""The light colours by their CSS variable; page.css has the dark ones."""

STYLE = {
    "svg.fonttype": "none",  # text stays text
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 12,
    "text.color": INK,
    "text.parse_math": False,
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": MUTED,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.titlesize": "medium",
    "grid.color": RULE,
    "legend.frameon": False,
    "legend.labelcolor": MUTED,
    "lines.scale_dashes": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "ytick.major.size": 0,
}


class Plot(NamedTuple):
    """A plot before it is drawn.

    size: width and height in px. description: its numbers in words. draw: draws it on matplotlib's axes.
    """

    size: tuple[float, float]
    description: str
    draw: "Callable[[Axes], None]"


def svg(plot: Plot, name: str, title: str) -> str:
    """Return a plot as an SVG file; ids in it are derived from `name`."""
    matplotlib, file = _matplotlib(), io.StringIO()
    metadata = {"Title": title, "Description": plot.description, "Creator": None, "Date": None}
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE, **{"svg.hashsalt": name})
        figure = matplotlib.figure.Figure([px / 72 for px in plot.size], layout="constrained")
        plot.draw(figure.subplots())
        figure.savefig(file, format="svg", transparent=True, metadata=metadata)
    return file.getvalue()


def inline(plot: Plot, name: str, title: str) -> Markup:
    """Return a plot for a page: with title and description for screen readers, in the page's light or dark colours.

    Args:
        plot: an artist with the gid "title: TEXT" gets TEXT as its tooltip.
        name: unique on the page, without spaces.
        title: what the plot shows.
    """
    body = svg(plot, name, title).partition("</defs>")[2].rpartition("</svg>")[0]  # the head has the style of a file
    body = re.sub(r'<g id="title: ([^"]*)">', r"<g><title>\1</title>", body)
    body = re.sub(r' id="(?![mp][0-9a-f]{10}")[^"]*"', "", body)  # only markers and clip paths are referenced
    body = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), body)  # to 0.01 px
    head = Markup(
        '<svg viewBox="0 0 {0:g} {1:g}" role="img" aria-labelledby="{2}-title" aria-describedby="{2}-desc">'
        '<title id="{2}-title">{3}</title><desc id="{2}-desc">{4}</desc>'
    )
    return head.format(*plot.size, name, title, plot.description) + Markup(f"{theme(body)}</svg>")  # noqa: S704 - escaped


def theme(text: str) -> str:
    """Replace the light colours in a text by the page's CSS variables."""
    for variable, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{variable})")
    return text


@cache
def _matplotlib() -> ModuleType:
    """Import matplotlib. Its font cache goes to a folder that is then deleted: the home folder may be read-only."""
    before = os.environ.get("MPLCONFIGDIR")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MPLCONFIGDIR"] = folder
        try:
            import matplotlib.backends.backend_svg
            import matplotlib.figure
        finally:
            del os.environ["MPLCONFIGDIR"]
            if before is not None:
                os.environ["MPLCONFIGDIR"] = before
    return matplotlib
