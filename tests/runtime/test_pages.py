"""Pages from templates."""

import base64

import pytest
from jinja2 import UndefinedError

from featurelib.runtime.pages import png_url, render


def test_a_value_that_is_missing_is_an_error():
    """A page is complete, or there is none."""
    with pytest.raises(UndefinedError, match="title"):
        render("validation/alignment_sheet.html", side_colours={})


def test_an_image_is_part_of_the_page():
    """Its URL contains the file."""
    kind, content = png_url(b"png").split(",")

    assert (kind, base64.b64decode(content)) == ("data:image/png;base64", b"png")
