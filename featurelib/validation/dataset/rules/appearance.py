"""Rules on what the images will show: what the reader of a mesh left out, and images without information."""

from collections.abc import Iterator

from featurelib.validation.dataset.finding import Finding
from featurelib.validation.dataset.survey import Survey

FLAT_SHARE = 0.7
"""Share of an object's pixels of one grey value, beyond which a detector has nothing to see.

A grey head has 6 %, a coloured one 5 %, a box 3 %, a plate 20 %. A head with colours from 0 to 8 has 77 %, one with a
grey of 5 that varies by 20 % has 84 %, and a black one has 100 %; so has a flat sheet, which shows nothing.
"""


def repaired_meshes(survey: Survey) -> Iterator[Finding]:
    """What was repaired or left out when a mesh was read, one finding each."""
    for row in survey.measured:
        for note in row.notes:
            fix = "look at the object on the sheet; export it again if this matters"
            yield Finding("repaired-mesh", "warning", row.object_id, note, fix)


def flat_images(survey: Survey) -> Iterator[Finding]:
    """Objects whose images have nearly one value, because their colours are almost black."""
    for row in survey.measured:
        if row.flat_share > FLAT_SHARE:
            message = f"{row.flat_share:.0%} of its pixels have one grey value; expected at most {FLAT_SHARE:.0%}"
            yield Finding(
                "flat-image", "warning", row.object_id, message, "brighten its colours, or export it without them"
            )
