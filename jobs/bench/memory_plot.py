"""The plot of `featurelib bench train --images ... --plot FILE`: peak memory per process over the dataset's size."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from featurelib.evaluation.figures import SERIES, Plot, svg
from featurelib.evaluation.plots import log_axis, round_up

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (640.0, 360.0)


def memory_plot(images: Sequence[int], found: Sequence[Mapping[str, float]]) -> str:
    """Return an SVG file of peaks in MB by role, for each of ascending numbers of images."""
    roles = sorted(found[0], key=lambda role: -found[-1].get(role, 0.0))

    def draw(axes: "Axes") -> None:
        for role, colour in zip(roles, SERIES, strict=False):
            points = [(count, peaks[role]) for count, peaks in zip(images, found, strict=True) if role in peaks]
            axes.plot(*zip(*points, strict=True), "o-", color=colour, label=role, clip_on=False)
        log_axis(axes, (images[0], images[-1]), "training images (logarithmic)")
        axes.set(ylim=(0, round_up(max(max(peaks.values()) for peaks in found))), title="peak private memory, MB")
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))

    peaks = (f"{role} {found[0][role]:.0f} to {found[-1].get(role, 0.0):.0f} MB" for role in roles)
    title = "Peak private memory of each process of a training over the number of training images"
    return svg(Plot(SIZE, f"{'; '.join(peaks)}.", draw), "memory", title)
