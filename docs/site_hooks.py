"""Hooks of MkDocs for pages outside docs/ and for links to files that are not pages.

Links in the sources work in a checkout and on a code host; the build rewrites them for the site.
"""

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = Path(__file__).parent
ROOT = DOCS.parent

ROOT_PAGES = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""Names on the site of pages at the repository's root."""

LANDING = {"README.md": "index.md"}
"""Pages that replace a file on the site."""

FENCE = re.compile(r"^(?:```|~~~).*?^(?:```|~~~)[^\S\n]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside docs/."""
    for source, page in ROOT_PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return a page with links to pages of the site; a link to another file of the repository becomes its text."""
    uri = page.file.src_uri
    source = next((name for name, page_name in ROOT_PAGES.items() if page_name == uri), f"docs/{uri}")
    kept = FENCE.findall(markdown)
    parts = [LINK.sub(lambda link: _link(link, source, uri), part) for part in FENCE.split(markdown)]
    return "".join(part + fence for part, fence in zip(parts, [*kept, ""], strict=True))


def _link(link: re.Match[str], source: str, uri: str) -> str:
    """Return a link of a source file, rewritten for the page `uri`.

    A broken link stays unchanged, so that the strict build fails.
    """
    target = os.path.normpath(PurePosixPath(source).parent / link["target"])
    page = {**ROOT_PAGES, **LANDING}.get(target)
    if page is None and target.startswith("docs/") and not target.endswith(".py"):
        page = _page_of(target)
    if page is not None:
        return f"[{link['text']}]({_from(uri, page)}{link['anchor'] or ''})"
    return link["text"] if (ROOT / target).exists() else link[0]


def _page_of(target: str) -> str:
    """Return the name within docs/ of a link's target; the index for a folder."""
    name = target.removeprefix("docs/")
    return f"{name}/index.md" if (ROOT / target).is_dir() else name


def _from(uri: str, page: str) -> str:
    """Return the relative path from one page to another."""
    return os.path.relpath(page, PurePosixPath(uri).parent)
