import pytest

from featurelib.evaluation.markup import Markup, join, short, tag

WICKED = """<script>alert("1" & '2')</script>"""


def test_text_is_escaped_and_markup_is_not():
    """Whatever is no markup yet cannot become any, as a child or as an attribute."""
    inner = tag("b", WICKED, title=WICKED)

    assert WICKED not in inner
    assert inner.count("<") == 2
    assert tag("p", inner) == f"<p>{inner}</p>"
    assert isinstance(join("a", inner), Markup)
    assert join("<", inner) == f"&lt;{inner}"


def test_what_is_none_is_left_out():
    """Optional parts need no branches where they are used."""
    assert tag("p", None, "a", class_=None) == "<p>a</p>"


def test_attributes_are_those_of_html():
    """Underscores are hyphens, one at the end keeps Python's words free, and numbers are short."""
    assert (
        tag("line", x1=1 / 3, class_="a", aria_hidden="true") == '<line x1="0.33" class="a" aria-hidden="true"></line>'
    )
    assert tag("img", alt="") == '<img alt="">'


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.0, "0"), (-0.001, "0"), (12.345, "12.35"), (380.0, "380"), (1e-9, "0"), (1234.56, "1234.6")],
)
def test_lengths_are_written_short(value, written):
    """A hundredth of a unit is below a pixel; there is no exponent, no minus zero."""
    assert short(value) == written
