"""HTML and SVG as text in which whatever is not markup is escaped: object ids are users' text."""

from html import escape

VOID = frozenset({"br", "img", "meta"})
"""Elements of HTML without an end tag."""


class Markup(str):
    """Text that is HTML or SVG already."""

    __slots__ = ()


def tag(name: str, /, *children: str | None, **attributes: object) -> Markup:
    """Return an element. Children that are no Markup are escaped; None, as child or attribute's value, is left out.

    Attributes: underscores stand for hyphens, one at the end is dropped (`class_`); numbers are written short.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def join(*parts: str | None) -> Markup:
    """Return the parts one after the other; those that are no Markup are escaped."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in parts if part is not None))


def short(value: float) -> str:
    """Return a length for SVG: a hundredth of a unit is far below a pixel."""
    return f"{round(value, 2) + 0.0:g}" if abs(value) < 1000 else f"{value:.1f}"


def _text(value: object) -> str:
    return short(value) if isinstance(value, float) else str(value)
