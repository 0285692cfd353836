"""Left and right have the same two colours in every image, page and figure, with any colour vision."""

import base64
import io
import json
import re
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from featurelib.datasets import synthetic
from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.datasets.synthetic.writing import write_dataset
from featurelib.geometry import ROLE_COLOURS, SIDE_COLOURS, SIDES, apply
from featurelib.validation.alignment_sheet import Row, alignment_sheet
from featurelib.validation.dataset.drawing import Drawing, draw
from featurelib.validation.dataset.measure import MeasureJob
from featurelib.validation.dataset.sheet import sheet
from featurelib.validation.dataset.survey import Survey

ROOT = Path(__file__).parents[1]
STYLE = (ROOT / "serve/viewer/style.css").read_text()

FORMER = r"#(?:e4572e|2274d5|3aa5e8|f08030)|\b(?:235, ?95, ?20|25, ?100, ?225)\b"
"""Earlier colours of the contact sheet, of the viewer's dark scheme and of the figures."""

REPEATED_IN = {"featurelib/geometry/sides.py", "serve/viewer/icon.svg", "serve/viewer/style.css"}
"""Files that may contain the pair: its definition, and two files of the viewer that Python does not generate."""

MACHADO = {
    "no deficiency": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""Perceived linear sRGB at severity 1.0: Machado, Oliveira and Fernandes, "A Physiologically-based Model for
Simulation of Color Vision Deficiency", IEEE TVCG 15(6), 2009, doi:10.1109/TVCG.2009.113, and its online table."""

MIN_DISTANCE = 20.0
"""Minimum CIE 1976 Delta E. A difference of 2.3 is just noticeable between adjacent areas (Mahy et al. 1994,
doi:10.1002/col.5080190205); this is nine times as much, for separate dots of 5 to 10 px."""

MIN_CONTRAST = 3.0
"""Minimum contrast of graphics: WCAG 2.2, 1.4.11."""


def linear(colours) -> np.ndarray:
    """Convert CSS colours (n) to linear sRGB (n, 3), IEC 61966-2-1."""
    rgb = np.array([ImageColor.getrgb(colour) for colour in colours]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """Convert linear sRGB (n, 3) to CIELAB under D65 (CIE 15:2004)."""
    xyz_from_rgb = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    ratio = np.clip(rgb, 0, 1) @ np.transpose(xyz_from_rgb) / np.sum(xyz_from_rgb, axis=1)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def perceived(colours, vision: str) -> np.ndarray:
    """Return CIELAB values (n, 3) of CSS colours for one kind of colour vision."""
    return lab(linear(colours) @ np.transpose(MACHADO[vision]))


@pytest.mark.parametrize("vision", MACHADO)
def test_the_colours_are_distinct_with_any_colour_vision(vision):
    """They differ from each other, and from every grey of a render."""
    colours = perceived(ROLE_COLOURS.values(), vision)
    greys = perceived([f"rgb({v}, {v}, {v})" for v in range(256)], vision)

    assert min(np.linalg.norm(a - b) for a, b in combinations(colours, 2)) >= MIN_DISTANCE
    assert min(np.linalg.norm(greys - colour, axis=1).min() for colour in colours) >= MIN_DISTANCE


@pytest.mark.parametrize("ground", re.findall(r"--(?:stage|panel|ground): (#\w+)", STYLE))
def test_the_colours_contrast_with_the_backgrounds_of_the_viewer(ground):
    """In both schemes; white, the background of the other pages, is one of them."""
    luminances = linear([ground, *ROLE_COLOURS.values()]) @ [0.2126, 0.7152, 0.0722] + 0.05

    assert min(max(each, luminances[0]) / min(each, luminances[0]) for each in luminances[1:]) >= MIN_CONTRAST


def test_the_viewer_has_the_same_colours():
    """Its style has them once for both schemes; its icon shows a head from the front, with its right on the left."""
    icon = (ROOT / "serve/viewer/icon.svg").read_text()
    dots = sorted((int(x), colour) for x, colour in re.findall(r'cx="(\d+)"[^>]* fill="(#\w+)"', icon))

    assert re.findall(r"--(left|right|midline|unpaired): (#\w+)", STYLE) == list(ROLE_COLOURS.items())
    assert [colour for _, colour in dots] == [SIDE_COLOURS["right"], SIDE_COLOURS["left"]]


def test_no_other_file_defines_colours():
    """No file has the earlier colours or a copy of the pair."""
    pair = "|".join(colour.removeprefix("#") for colour in SIDE_COLOURS.values())
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    texts = {}
    for name in set(listed) - {Path(__file__).relative_to(ROOT).as_posix()}:
        try:
            texts[name] = (ROOT / name).read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # an image, or a file that is moved but not committed

    assert {name for name, text in texts.items() if re.search(FORMER, text, re.IGNORECASE)} == set()
    assert {name for name, text in texts.items() if re.search(f"#({pair})", text, re.IGNORECASE)} == REPEATED_IN


class Page(HTMLParser):
    """The circles of a page with their classes and titles, and its text outside of titles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fills = dict(re.findall(r"\.(left|right|midline|unpaired) \{ fill: (#\w+);", text))
        self.circles: list[tuple[frozenset[str], str]] = []
        self.words = ""
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self._tag = tag
        if tag == "circle":
            self.circles.append((frozenset(dict(attrs)["class"].split()), ""))

    def handle_data(self, data):
        if self._tag == "title" and self.circles:
            self.circles[-1] = (self.circles[-1][0], data)
        else:
            self.words += data


LANDMARKS = replace(synthetic.LANDMARKS, midline=("nose_tip",), unpaired=("chin",), outlines=(), definitions={})
MARKED = replace(LANDMARKS, midline=())


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    folder = tmp_path_factory.mktemp("bodies")
    write_dataset(folder, 1, landmarks=LANDMARKS)
    return open_dataset(str(folder))


@pytest.fixture(scope="module")
def drawing(dataset) -> Drawing:
    row = dataset.objects.to_pylist()[0]
    landmarks_mm = apply(dataset.object_from_source, np.reshape(row["landmarks"], (-1, 3)))
    landmarks_mm[-2] = np.nan
    uri, to_object = dataset.mesh_uri(row["mesh"]), dataset.object_from_source
    job = MeasureJob(row["object_id"], uri, to_object, dataset.landmarks, landmarks_mm)
    drawn = draw(job)
    assert drawn is not None
    return drawn


@pytest.mark.parametrize("kind", ["contact sheet", "alignment"])
def test_a_sheet_draws_each_role_in_its_colour(kind, dataset, drawing):
    """Each mark has the class of its role, occluded marks are rings, and the legend names the roles of the set.

    A landmark that is not labelled has no mark.
    """
    name = drawing.object_id
    if kind == "alignment":
        text, times = alignment_sheet("a", [Row(name, 0.0, 0.0)], {name: drawing}, {name: drawing}), 2
    else:
        survey = Survey(dataset, True, [], [], [], [], None)
        text, times = sheet(survey, [], ([], [name]), {name: drawing}), 1
    page = Page(text)
    of_views = [
        (frozenset(["mark", role, *["occluded"] * mark.is_occluded]), name)
        for marks in drawing.marks
        for name, role, mark in zip(MARKED.names, MARKED.roles, marks, strict=True)
    ]
    roles = ["left", "right", *["midline", "unpaired"] * (kind == "contact sheet")]

    assert page.fills == ROLE_COLOURS
    assert len(page.circles) == len(roles) + 1 + times * len(of_views)
    assert [circle for circle in page.circles if circle[1]] == of_views * times
    assert [style - {"mark"} for style, title in page.circles if not title] == [
        *({role} for role in roles),
        {"occluded"},
    ]
    assert "the object's own left; " in page.words
    assert "its own right; " in page.words


def test_the_figures_have_the_same_colours():
    """In the front view of the notebook left is on the right; in the README's bodies each side view shows its side."""
    cells = json.loads((ROOT / "docs/first_look.ipynb").read_text())["cells"]
    stored = [o["data"]["image/png"] for cell in cells for o in cell.get("outputs", []) if "data" in o]
    (notebook,) = (np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")) for png in stored)
    bodies = np.asarray(Image.open(ROOT / "docs/images/bodies.png").convert("RGB"))
    third = len(notebook) // 3
    front = notebook[third : 2 * third, third : 2 * third]
    (x_left, x_right) = (np.median(where(front, side)[1]) for side in SIDES)
    (from_left, _, from_right) = np.split(bodies, 3)

    assert x_left > third / 2 > x_right
    assert len(where(from_left, "left")[0]) > 0 == len(where(from_left, "right")[0])
    assert len(where(from_right, "right")[0]) > 0 == len(where(from_right, "left")[0])


def where(pixels: np.ndarray, side: str) -> tuple[np.ndarray, ...]:
    """Return rows and columns of the pixels (h, w, 3) with exactly the colour of a side."""
    return np.nonzero((pixels == ImageColor.getrgb(SIDE_COLOURS[side])).all(axis=2))
