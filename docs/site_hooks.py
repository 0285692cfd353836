"""What MkDocs does not do by itself: pages that lie outside docs/, and links to files that are no pages.

The sources keep the links that work in a checkout and on a code host; they are rewritten while the site is built.
"""

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = Path(__file__).parent
ROOT = DOCS.parent

BROUGHT = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""Files of the repository's root that are pages of the site, and their names there."""

LANDING = {"README.md": "index.md"}
"""The README's part is played by the landing page."""

FENCE = re.compile(r"^(?:```|~~~).*?^(?:```|~~~)[^\S\n]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/ to those of MkDocs."""
    for source, page in BROUGHT.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return a page whose links lead to pages; one to another file of the repository keeps its text alone."""
    uri = page.file.src_uri
    source = next((name for name, brought in BROUGHT.items() if brought == uri), f"docs/{uri}")
    kept = FENCE.findall(markdown)
    parts = [LINK.sub(lambda link: _link(link, source, uri), part) for part in FENCE.split(markdown)]
    return "".join(part + fence for part, fence in zip(parts, [*kept, ""], strict=True))


def _link(link: re.Match[str], source: str, uri: str) -> str:
    """Return one link of a source file as one of the page `uri`.

    A link to what is not in the repository is left as it is, for the strict build to refuse.
    """
    target = os.path.normpath(PurePosixPath(source).parent / link["target"])
    page = {**BROUGHT, **LANDING}.get(target)
    if page is None and target.startswith("docs/") and not target.endswith(".py"):
        page = _page_of(target)
    if page is not None:
        return f"[{link['text']}]({_from(uri, page)}{link['anchor'] or ''})"
    return link["text"] if (ROOT / target).exists() else link[0]


def _page_of(target: str) -> str:
    """Return the name within docs/ of what a link leads to; a folder's is that of its index."""
    name = target.removeprefix("docs/")
    return f"{name}/index.md" if (ROOT / target).is_dir() else name


def _from(uri: str, page: str) -> str:
    """Return where a page lies as seen from another."""
    return os.path.relpath(page, PurePosixPath(uri).parent)
