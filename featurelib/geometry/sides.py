"""The colours of left and right in all images, pages and figures."""

from collections.abc import Mapping
from typing import Final

from featurelib.geometry.landmark_set import SIDES

SIDE_COLOURS: Final[Mapping[str, str]] = dict(zip(SIDES, ("#0072b2", "#d55e00"), strict=True))
"""Colours by side, for CSS and Pillow: blue and vermillion of the palette of Okabe and Ito, "Color Universal Design"
(2008, jfly.uni-koeln.de/color), which people with any colour vision can distinguish. Their contrasts to white are 5.2
and 3.9; the palette's orange (#e69f00) has 2.2. The viewer's style.css and icon.svg repeat these values."""
