"""The colours of landmarks in all images, pages and figures, by their roles in the set."""

from collections.abc import Mapping
from typing import Final

from featurelib.geometry.landmark_set import SIDES

SIDE_COLOURS: Final[Mapping[str, str]] = dict(zip(SIDES, ("#0072b2", "#d55e00"), strict=True))
"""Colours by side, for CSS and Pillow: blue and vermillion of the palette of Okabe and Ito, "Color Universal Design"
(2008, jfly.uni-koeln.de/color), which people with any colour vision can distinguish. Their contrasts to white are 5.2
and 3.9; the palette's orange (#e69f00) has 2.2. The viewer's style.css and icon.svg repeat these values."""

MIDLINE_COLOUR: Final = "#aa22ff"
"""Violet, for midline landmarks. It and UNPAIRED_COLOUR differ from the sides' colours, from each other and from every
grey by a Delta E of at least 26 with any colour vision; their contrasts to white are 4.8 and 4.5."""

UNPAIRED_COLOUR: Final = "#aa6644"
"""Brown, for unpaired landmarks."""

ROLE_COLOURS: Final[Mapping[str, str]] = {**SIDE_COLOURS, "midline": MIDLINE_COLOUR, "unpaired": UNPAIRED_COLOUR}
"""Colours by role of `LandmarkSet.roles`."""
