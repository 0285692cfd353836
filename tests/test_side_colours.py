"""Left and right have one pair of colours in every picture, page and figure, and everybody can tell them apart."""

import base64
import io
import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from featurelib.datasets.dataset import Dataset, open_dataset
from featurelib.datasets.synthetic.writing import write_dataset
from featurelib.geometry import SIDE_COLOURS, SIDES, apply
from featurelib.validation.alignment_sheet import Row, alignment_sheet
from featurelib.validation.dataset.drawing import Drawing, draw
from featurelib.validation.dataset.measure import MeasureJob
from featurelib.validation.dataset.sheet import sheet
from featurelib.validation.dataset.survey import Survey

ROOT = Path(__file__).parents[1]
STYLE = (ROOT / "serve/viewer/style.css").read_text()

FORMER = r"#(?:e4572e|2274d5|3aa5e8|f08030)|\b(?:235, ?95, ?20|25, ?100, ?225)\b"
"""What left and right were drawn in before there was one pair: contact sheet, viewer by night, figures."""

REPEATED_IN = {"featurelib/geometry/sides.py", "serve/viewer/icon.svg", "serve/viewer/style.css"}
"""Where the pair may be written out: its definition, and the two files of the viewer that no Python writes."""

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
"""Linear sRGB as it is seen, severity 1.0: Machado, Oliveira and Fernandes, "A Physiologically-based Model for
Simulation of Color Vision Deficiency", IEEE TVCG 15(6), 2009, doi:10.1109/TVCG.2009.113, and its online table."""

APART = 20.0
"""CIE 1976 Delta E. About 2.3 is just noticeable side by side (Mahy et al. 1994, doi:10.1002/col.5080190205); dots of
5 to 10 px that lie apart need more, and nine times that is asked for here."""

CONTRAST = 3.0
"""WCAG 2.2, 1.4.11, for what is not text."""


def linear(colours) -> np.ndarray:
    """CSS colours (n) to linear sRGB (n, 3), IEC 61966-2-1."""
    rgb = np.array([ImageColor.getrgb(colour) for colour in colours]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """Linear sRGB (n, 3) to CIELAB under D65 (CIE 15:2004)."""
    xyz_from_rgb = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    ratio = np.clip(rgb, 0, 1) @ np.transpose(xyz_from_rgb) / np.sum(xyz_from_rgb, axis=1)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def seen(colours, vision: str) -> np.ndarray:
    return lab(linear(colours) @ np.transpose(MACHADO[vision]))


@pytest.mark.parametrize("vision", MACHADO)
def test_anybody_tells_left_from_right_and_both_from_grey(vision):
    """Whatever their colour vision; renders are grey, and each mark stands out from the grey that is like it most."""
    left, right = seen(SIDE_COLOURS.values(), vision)
    greys = seen([f"rgb({v}, {v}, {v})" for v in range(256)], vision)

    assert np.linalg.norm(left - right) >= APART
    assert min(np.linalg.norm(greys - side, axis=1).min() for side in (left, right)) >= APART


@pytest.mark.parametrize("ground", re.findall(r"--(?:stage|panel|ground): (#\w+)", STYLE))
def test_both_stand_out_from_what_the_viewer_draws_them_on(ground):
    """By day and by night; white, which the other pages draw on, is among these grounds."""
    luminances = linear([ground, *SIDE_COLOURS.values()]) @ [0.2126, 0.7152, 0.0722] + 0.05

    assert min(max(each, luminances[0]) / min(each, luminances[0]) for each in luminances[1:]) >= CONTRAST


def test_the_viewer_has_the_same_pair():
    """Its style says them once, for both schemes; the icon shows a head from its front, its right on the left."""
    icon = (ROOT / "serve/viewer/icon.svg").read_text()
    dots = sorted((int(x), colour) for x, colour in re.findall(r'cx="(\d+)"[^>]* fill="(#\w+)"', icon))

    assert re.findall(r"--(left|right): (#\w+)", STYLE) == list(SIDE_COLOURS.items())
    assert [colour for _, colour in dots] == [SIDE_COLOURS["right"], SIDE_COLOURS["left"]]


def test_no_other_file_has_colours_of_its_own():
    """Neither those of before nor copies of the pair."""
    pair = "|".join(colour.removeprefix("#") for colour in SIDE_COLOURS.values())
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    texts = {}
    for name in set(listed) - {Path(__file__).relative_to(ROOT).as_posix()}:
        try:
            texts[name] = (ROOT / name).read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # a picture; or moved and not yet committed

    assert {name for name, text in texts.items() if re.search(FORMER, text, re.IGNORECASE)} == set()
    assert {name for name, text in texts.items() if re.search(f"#({pair})", text, re.IGNORECASE)} == REPEATED_IN


class Page(HTMLParser):
    """A page's circles by the styles they have, with what they are called, and the words outside of its pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fills = dict(re.findall(r"\.(left|right) \{ fill: (#\w+);", text))
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


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    folder = tmp_path_factory.mktemp("bodies")
    write_dataset(folder, 1)
    return open_dataset(str(folder))


@pytest.fixture(scope="module")
def drawing(dataset) -> Drawing:
    row = dataset.objects.to_pylist()[0]
    pair_mm = apply(dataset.object_from_source, [row["left"], row["right"]])
    job = MeasureJob(row["object_id"], dataset.mesh_uri(row["mesh"]), dataset.object_from_source, pair_mm)
    drawn = draw(job)
    assert drawn is not None
    return drawn


@pytest.mark.parametrize("kind", ["contact sheet", "alignment"])
def test_a_sheet_draws_each_side_in_its_colour(kind, dataset, drawing):
    """Every mark of every view: its style is its side's, hidden ones stay rings, and the key names both in words."""
    name = drawing.object_id
    if kind == "alignment":
        text, times = alignment_sheet("a", [Row(name, 0.0, 0.0)], {name: drawing}, {name: drawing}), 2
    else:
        survey = Survey(dataset, True, [], [], [], [], None)
        text, times = sheet(survey, [], ([], [name]), {name: drawing}), 1
    page = Page(text)
    of_pictures = [
        (frozenset(["mark", side, *["occluded"] * mark.is_occluded]), side)
        for marks in drawing.marks
        for side, mark in zip(SIDES, marks, strict=True)
    ]

    assert page.fills == SIDE_COLOURS
    assert len(page.circles) == 3 + times * len(of_pictures)
    assert [circle for circle in page.circles if circle[1]] == of_pictures * times
    assert [style - {"mark"} for style, called in page.circles if not called] == [{"left"}, {"right"}, {"occluded"}]
    assert "the object's own left; " in page.words
    assert "its own right; " in page.words


def test_the_figures_have_the_pair():
    """The bodies of the README, and the notebook's pictures as they are stored: left is on the front's right."""
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
    """Rows and columns of the pixels (h, w, 3) that have a side's very colour."""
    return np.nonzero((pixels == ImageColor.getrgb(SIDE_COLOURS[side])).all(axis=2))
