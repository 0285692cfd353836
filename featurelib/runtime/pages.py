"""HTML pages from Jinja2 templates; every value is escaped."""

import base64
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

ROOT = Path(__file__).parents[1]
"""Templates have a path below this folder, next to the code that fills them."""


def render(template: str, /, **values: object) -> str:
    """Return a page; `template` is the path of a template in featurelib."""
    environment = Environment(
        loader=FileSystemLoader(ROOT), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["png_url"] = png_url
    environment.globals["zip"] = zip
    return environment.get_template(template).render(values)


def png_url(png: bytes) -> str:
    """Return a PNG file as a URL that contains it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
