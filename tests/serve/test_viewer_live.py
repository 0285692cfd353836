"""The viewer's speed on a running server, and its screenshot for the README.

Not part of a suite: `make viewer-screenshot URL=http://127.0.0.1:8000/?object=ID` uses a running server.
"""

import os
import statistics
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

URL = os.environ.get("VIEWER_URL", "")
SCREENSHOT = Path(__file__).parents[2] / "docs" / "images" / "viewer.png"
ROUNDS = 5

pytestmark = pytest.mark.skipif(not URL, reason="no VIEWER_URL: `make viewer-screenshot` measures a running server")


@pytest.fixture
def warm(open_viewer_of):
    """A tab with the object, which the server has predicted once."""
    viewer = open_viewer_of(f"{urlsplit(URL).scheme}://{urlsplit(URL).netloc}", os.environ.get("FEATURELIB_TOKEN"))
    viewer.open(f"?{urlsplit(URL).query}")
    return viewer


def seconds(viewer, action, shown):
    """The time from an action until an expression holds and the browser has drawn two more frames."""
    started = time.perf_counter()
    action()
    viewer.until(shown)
    viewer.ask("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return time.perf_counter() - started


def rotate(viewer):
    """Drag the model."""
    box = viewer.tab.locator("#canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    viewer.tab.mouse.move(x, y)
    viewer.tab.mouse.down()
    for step in range(1, 11):
        viewer.tab.mouse.move(x + 8 * step, y + 3 * step)
        viewer.ask("() => new Promise(requestAnimationFrame)")
    viewer.tab.mouse.up()


def test_it_is_fast(warm, capsys):
    """When warm, an object's first image is shown within 1 s, and its mesh rotates within 2 s."""
    images, rotating, frames = [], [], []
    for _ in range(ROUNDS):
        warm.settle()
        started = time.perf_counter()
        next_one = lambda: warm.tab.keyboard.press("j")  # noqa: E731 (an action to time)
        images.append(
            seconds(
                warm,
                next_one,
                "document.getElementById('view-image').src && !document.getElementById('view-image').hidden",
            )
        )
        warm.until("!!viewer.model.mesh")
        pose = warm.ask("() => viewer.model.camera().position.toArray()")
        drag = time.perf_counter()
        rotate(warm)
        assert pose != warm.ask("() => viewer.model.camera().position.toArray()")
        frames.append((time.perf_counter() - drag) / 10)
        rotating.append(drag - started + frames[-1])
    faces = warm.ask("() => viewer.model.mesh.geometry.index.count / 3")
    with capsys.disabled():
        print(f"\n{faces:,.0f} faces, {ROUNDS} objects, median (longest):")
        for name, values in (("first image", images), ("model rotating", rotating), ("one frame of it", frames)):
            print(f"  {name}: {statistics.median(values):.2f} s ({max(values):.2f} s)")

    assert max(images) < 1
    assert max(rotating) < 2


def test_its_screenshot_is_taken(warm):
    """The README's screenshot is written by the tests' browser."""
    warm.tab.screenshot(path=SCREENSHOT)

    assert SCREENSHOT.stat().st_size > 20_000
