"""The viewer on a run of one's own: how quick it is, and its picture for the README.

Not a part of any suite: `make viewer-screenshot URL=http://127.0.0.1:8000/?object=ID` asks a server that is up.
"""

import os
import statistics
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

URL = os.environ.get("VIEWER_URL", "")
PICTURE = Path(__file__).parents[2] / "docs" / "images" / "viewer.png"
ROUNDS = 5

pytestmark = pytest.mark.skipif(not URL, reason="no VIEWER_URL: `make viewer-screenshot` measures a server that is up")


@pytest.fixture
def warm(open_viewer_of):
    """A tab on the object, which the server has answered for once."""
    viewer = open_viewer_of(f"{urlsplit(URL).scheme}://{urlsplit(URL).netloc}", os.environ.get("FEATURELIB_TOKEN"))
    viewer.open(f"?{urlsplit(URL).query}")
    return viewer


def seconds(viewer, action, shown):
    """From an action until an expression holds and the browser has drawn twice since."""
    started = time.perf_counter()
    action()
    viewer.until(shown)
    viewer.ask("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return time.perf_counter() - started


def turn(viewer):
    """Drag the model, and back."""
    box = viewer.tab.locator("#canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    viewer.tab.mouse.move(x, y)
    viewer.tab.mouse.down()
    for step in range(1, 11):
        viewer.tab.mouse.move(x + 8 * step, y + 3 * step)
        viewer.ask("() => new Promise(requestAnimationFrame)")
    viewer.tab.mouse.up()


def test_it_is_quick(warm, capsys):
    """Once warm: an object's first picture within 1 s, and its mesh there and turning within 2 s."""
    images, turning, frames = [], [], []
    for _ in range(ROUNDS):
        warm.settle()
        started = time.perf_counter()
        next_one = lambda: warm.tab.keyboard.press("j")  # noqa: E731 (an action to time)
        images.append(
            seconds(
                warm,
                next_one,
                "document.getElementById('picture-image').src && !document.getElementById('picture-image').hidden",
            )
        )
        warm.until("!!viewer.model.mesh")
        pose = warm.ask("() => viewer.model.camera().position.toArray()")
        drag = time.perf_counter()
        turn(warm)
        assert pose != warm.ask("() => viewer.model.camera().position.toArray()")
        frames.append((time.perf_counter() - drag) / 10)
        turning.append(drag - started + frames[-1])
    faces = warm.ask("() => viewer.model.mesh.geometry.index.count / 3")
    with capsys.disabled():
        print(f"\n{faces:,.0f} faces, {ROUNDS} objects, median (longest):")
        for name, values in (("first picture", images), ("model turning", turning), ("a frame of it", frames)):
            print(f"  {name}: {statistics.median(values):.2f} s ({max(values):.2f} s)")

    assert max(images) < 1
    assert max(turning) < 2


def test_its_picture_is_drawn(warm):
    """The README's picture, by the tests' own browser."""
    warm.tab.screenshot(path=PICTURE)

    assert PICTURE.stat().st_size > 20_000
