"""The colours of left and right, the same in every picture, page and figure."""

from collections.abc import Mapping
from typing import Final

from featurelib.geometry.landmarks import SIDES

SIDE_COLOURS: Final[Mapping[str, str]] = dict(zip(SIDES, ("#0072b2", "#d55e00"), strict=True))
"""By side, as CSS and Pillow read them: blue and vermillion of the palette of Okabe and Ito, "Color Universal Design"
(2008, jfly.uni-koeln.de/color), which people with any colour vision tell apart. Their orange (#e69f00) has a contrast
of 2.2 to white; these have 5.2 and 3.9. The viewer's style.css and icon.svg, which no Python writes, repeat them."""
