"""Names of objects: those that every table and file system can hold, and those that they confuse."""

import unicodedata
from collections.abc import Iterable, Iterator

CONTROLS = ("Cc", "Zl", "Zp")
"""Unicode categories of control characters and of separators of lines and paragraphs."""


def name_fault(name: str) -> str | None:
    """Return why an object cannot have this name, with the fix; None if it can.

    Tables strip blanks, and a name that is not UTF-8 cannot be written to any of them. Commas and quotes are no fault.
    """
    if name.isprintable() and name and " " not in (name[0], name[-1]) and "/" not in name and "\\" not in name:
        return None  # nearly all names: a million take half a second
    if any("\ud800" <= character <= "\udfff" for character in name):
        return "its name is not UTF-8; rename it"
    if not name or name != name.strip():
        return "its name begins or ends with a blank; rename it"
    if any(unicodedata.category(character) in CONTROLS for character in name):
        return "its name has a control character; rename it"
    if "/" in name or "\\" in name:
        return "its name has a path separator; rename it"
    return None


def shown(name: str) -> str:
    r"""Return a name for messages of one line: bytes that are not UTF-8 and control characters as `\xfc`."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in CONTROLS else c for c in text)


def alike(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the names that differ from an earlier one only by case or by composed and decomposed Unicode, with it."""
    seen: dict[str, str] = {}
    for name in names:
        key = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        if (first := seen.setdefault(key, name)) != name:
            yield first, name
