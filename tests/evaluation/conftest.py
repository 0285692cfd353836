from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest

VOID = {"meta", "img", "br"}


@dataclass
class Element:
    """An element of a page: its name, attributes, children, and the text directly inside it."""

    name: str
    attributes: dict[str, str]
    children: list["Element"] = field(default_factory=list)
    text: str = ""

    def all(self, name: str, class_: str | None = None) -> list["Element"]:
        """The elements of that name below this one, those of a CSS class if it is given."""
        found = [each for child in self.children for each in child.all(name, class_)]
        mine = self.name == name and (class_ is None or class_ in self.attributes.get("class", "").split())
        return [self, *found] if mine else found

    def words(self) -> str:
        """All text inside."""
        return " ".join([self.text, *(child.words() for child in self.children)]).strip()


class Reader(HTMLParser):
    """Builds the tree, and refuses whatever a browser would have to guess."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice: {tag} {attrs}"
        element = Element(tag, {key: value or "" for key, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].text += data


@pytest.fixture
def parsed() -> Callable[[str], Element]:
    """Return the function that reads HTML or SVG strictly: every element is closed, in order."""

    def parse(html: str) -> Element:
        reader = Reader()
        reader.feed(html)
        reader.close()
        assert reader.open == [reader.root]
        return reader.root

    return parse
