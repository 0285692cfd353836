"""The image of `featurelib bench train --images ... --plot FILE`: peak memory of each process over the dataset."""

from collections.abc import Mapping, Sequence

from featurelib.evaluation.axes import Scale, horizontal, image, line, path, round_up, text, vertical
from featurelib.evaluation.markup import Markup, tag

WIDTH, HEIGHT = 640.0, 360.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 130.0, 34.0, 50.0

COLOURS = ("#0b5cbd", "#c8500a", "#147a4b", "#8a3fb5", "#b8245c", "#7a6300")

STYLE = """
text { font: 12px sans-serif; fill: #59626d }
.grid { stroke: #d5dbe2 } .axis { stroke: #59626d }
.curve { fill: none; stroke-width: 2 }
"""
"""In grey that can be read on a light and on a dark page."""

LABEL_HEIGHT = 15.0
"""Between the names of two curves."""


def memory_plot(images: Sequence[int], found: Sequence[Mapping[str, float]]) -> Markup:
    """Return an SVG file of peaks in MB by role, for each of rising numbers of images."""
    x = Scale(images[0], images[-1], LEFT, WIDTH - RIGHT, is_log=True)
    roles = sorted(found[0], key=lambda role: found[-1].get(role, 0.0))
    y = Scale(0, round_up(max(max(peaks.values()) for peaks in found)), HEIGHT - BOTTOM, TOP)
    drawn, at = [], y.start
    for role, colour in zip(roles, COLOURS, strict=False):
        points = [(x(count), y(peaks[role])) for count, peaks in zip(images, found, strict=True) if role in peaks]
        at = min(points[-1][1], at - LABEL_HEIGHT)
        drawn += [
            tag("path", d=path(points), class_="curve", stroke=colour),
            *(tag("circle", cx=px, cy=py, r=3, fill=colour) for px, py in points),
            line(points[-1][0], points[-1][1], x.end + 14, at, "grid"),
            text(role, x.end + 18, at + 4, "name", "start"),
        ]
    spoken = (f"{role} {found[0][role]:.0f} to {found[-1].get(role, 0.0):.0f} MB" for role in reversed(roles))
    body = image(
        "memory",
        (WIDTH, HEIGHT),
        "Peak private memory of a training's processes over the number of training images",
        f"{'; '.join(spoken)}.",
        tag("style", Markup(STYLE)),
        horizontal(x, y.start, "training images (logarithmic)", grid_to=y.end),
        vertical(y, x.start, "peak private memory, MB", grid_to=x.end),
        *drawn,
    )
    return Markup(body.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))
