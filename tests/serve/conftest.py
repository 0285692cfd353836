"""One server for the tests of this folder, since starting its deployments takes half a minute."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import numpy as np
import pytest

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.objects_table import write_objects
from featurelib.datasets.synthetic import LANDMARKS, write_dataset

TOKEN = "correct-horse"
"""The token of the server under test."""


@pytest.fixture(scope="package")
def token():
    """The token of each server under test."""
    return TOKEN


@pytest.fixture(scope="package")
def served(run, tmp_path_factory):
    """A copy of the small run, which tests may change."""
    return shutil.copytree(run, tmp_path_factory.mktemp("served") / "run")


@pytest.fixture(scope="package")
def dataset(bodies, tmp_path_factory):
    """A copy of the run's dataset, to which tests may save labels."""
    return shutil.copytree(bodies, tmp_path_factory.mktemp("labelled") / "bodies")


@pytest.fixture(scope="package")
def settings(served, dataset):
    """Settings with limits so small that tests can exceed each of them."""
    from serve.run_index import run_version
    from serve.settings import AppSettings, LimitSettings

    return AppSettings(
        run=str(served),
        dataset=str(dataset),
        label=True,
        token=TOKEN,
        cors_origins=("https://studio.example",),
        version=run_version(str(served)),
        limits=LimitSettings(body_mb=8, image_pixels=1_000_000, mesh_faces=60_000, mesh_seconds=20.0, body_seconds=5.0),
    )


@pytest.fixture(scope="package")
def address(settings, cluster, free_ports):
    """The address of a server of the small run."""
    from ray import serve as ray_serve

    from serve.server import start

    (port,) = free_ports(1)
    start(settings, "127.0.0.1", port)
    yield f"http://127.0.0.1:{port}"
    ray_serve.shutdown()


@pytest.fixture(scope="package")
def client(address):
    """A client with the token."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=address, timeout=60, headers=headers) as client:
        yield client


@pytest.fixture(scope="package")
def serving(free_ports):
    """A context manager that runs `featurelib serve` with some flags and the token, on its own Ray; its address."""

    @contextmanager
    def running(*flags, cwd, python=sys.executable, **environment):
        (port,) = free_ports(1)
        command = [python, "-m", "featurelib", "serve", *flags, "--port", str(port)]
        environment = {**os.environ, "FEATURELIB_TOKEN": TOKEN, **environment}
        environment.pop("RAY_ADDRESS", None)
        server = subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, text=True)
        line = server.stdout.readline()
        assert line.startswith(f"http://127.0.0.1:{port}: the server is ready"), line
        yield f"http://127.0.0.1:{port}"
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) == 0

    return running


@pytest.fixture(scope="package")
def set_dataset(tmp_path_factory):
    """A dataset of bodies with two pairs and two midline landmarks; one test body lacks a label, one its chin."""
    folder = tmp_path_factory.mktemp("set") / "bodies"
    write_dataset(folder, 14, landmarks=LANDMARKS)
    splits = ["val", "val", "test", "test", *["train"] * 10]
    (folder / "objects.csv").write_bytes(write_objects({f"body-{i:05d}": ("", s) for i, s in enumerate(splits)}))
    table = folder / "landmarks.csv"
    header, *rows = table.read_text().splitlines()
    rows = [row for row in rows if not row.startswith(("body-00002,nose_tip,", "body-00003,chin,"))]
    table.write_text("\n".join([f"{header},status", *(f"{row}," for row in rows), "body-00003,chin,,,,absent"]) + "\n")
    return folder


@pytest.fixture(scope="package")
def set_run(cluster, set_dataset, tmp_path_factory, output_of):
    """A run on `set_dataset` in one projection, trained too briefly for a useful accuracy."""
    import ray

    run = tmp_path_factory.mktemp("set-run")
    flags = f"--dataset {set_dataset} --run {run} --projections orthographic --image-size 128 --input-size 64"
    flags += " --alpha 0.35 --weights none --epochs 2 --batch-size 16 --refiner-crops 64"
    output_of("pipeline", *flags.split(), address=ray.get_runtime_context().gcs_address)
    return run


@pytest.fixture(scope="package")
def set_address(set_run, set_dataset, serving):
    """The address of a server of `set_run`, with labelling."""
    with serving("--run", set_run, "--dataset", set_dataset, "--label", cwd=set_run) as address:
        yield address


@pytest.fixture(scope="package")
def set_client(set_address):
    """A client of the server of `set_run`, with the token."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=set_address, timeout=60, headers=headers) as client:
        yield client


SIZE = {"width": 1280, "height": 720}
SECONDS = 60.0
"""How long a page may take to show something on a busy machine."""


class Viewer:
    """A tab with the viewer, and its errors and warnings."""

    def __init__(self, chromium, address, token=None):
        self.context = chromium.new_context(viewport=SIZE, base_url=address, reduced_motion="reduce")
        if token:
            self.context.add_init_script(f"sessionStorage.setItem('featurelib-token', '{token}')")
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(1000 * SECONDS)
        self.errors = []
        self.tab.on("console", lambda line: line.type in ("error", "warning") and self.errors.append(line.text))
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))

    def ask(self, script, *arguments):
        """Evaluate a function in the page and return its result."""
        return self.tab.evaluate(script, *arguments)

    def until(self, script):
        """Wait until an expression holds. Playwright's own waiting needs eval, which the page forbids."""
        ends = time.monotonic() + SECONDS
        while not self.ask(script):
            assert time.monotonic() < ends, f"{script} never held; {self.errors}"
            self.tab.wait_for_timeout(20)

    def open(self, query=""):
        """Open the page with a query and wait until it shows its subject."""
        self.tab.goto(f"/{query}")
        self.settle()

    def settle(self):
        """Wait until all panels show the subject."""
        self.until("document.getElementById('model-status').dataset.state === 'done'")
        self.until("!!globalThis.viewer?.model?.mesh && !document.querySelector('#strip img[hidden]')")
        self.until("!document.getElementById('view-image').hidden")

    def dots(self):
        """The page positions (x, y) of the dots over the large image, by kind and side."""
        boxes = self.ask(
            "() => [...document.querySelectorAll('#dots .dot')].map(dot => {"
            " const {x, y, width, height} = dot.getBoundingClientRect();"
            " return [dot.dataset.kind, dot.dataset.side, x + width / 2, y + height / 2]; })"
        )
        return {(kind, side): np.array([x, y]) for kind, side, x, y in boxes}

    def marks(self):
        """The dots' positions in the object frame, by kind and landmark."""
        return self.ask(
            "() => Object.fromEntries(viewer.model.marks.all().map(dot => [`${dot.kind}-${dot.title}`, dot.point]))"
        )

    def page_position(self, point_mm):
        """The page position (x, y) of a point of the object."""
        return self.ask("point => viewer.model.pagePosition(point)", list(point_mm))

    def click_at(self, point_mm):
        """Click the model at a point of the object."""
        self.tab.mouse.click(*self.page_position(point_mm))

    def choose_view(self, view):
        """Click a view in the strip and wait until the page shows its image and its detection."""
        self.tab.locator(f"#strip [data-view='{view}']").click()
        self.until(f"viewer.state.view === {view} && document.getElementById('image-status').dataset.state === 'done'")
        self.until("!document.getElementById('view-image').hidden")


@pytest.fixture(scope="package")
def facing_mm(bodies):
    """For an object, the outermost vertices (2, 3) of its head that face left and right.

    Vertices on the outline are left out, because a ray that barely misses one hits a surface far behind it.
    """
    opened = open_dataset(str(bodies))

    def of(object_id):
        mesh = opened.load(opened.files[object_id])
        is_head = mesh.vertices_mm[:, 1] > mesh.centre_mm[1]
        x, facing = mesh.vertices_mm[:, 0], np.where(is_head, mesh.normals[:, 0], 0)
        left, right = np.where(facing > 0.98, x, -np.inf).argmax(), np.where(facing < -0.98, x, np.inf).argmin()
        return mesh.vertices_mm[[left, right]].astype(float)

    return of


@pytest.fixture
def open_viewer_of(chromium):
    """A function that opens tabs of the viewer of any server."""
    viewers = []

    def open_one(address, token):
        viewers.append(Viewer(chromium, address, token))
        return viewers[-1]

    yield open_one
    for viewer in viewers:
        viewer.context.close()


@pytest.fixture(scope="package")
def open_viewers(chromium, address):
    """A context whose function opens tabs of the viewer; leaving it closes them."""

    @contextmanager
    def opening():
        viewers = []

        def open_one(token=TOKEN):
            viewers.append(Viewer(chromium, address, token))
            return viewers[-1]

        yield open_one
        for viewer in viewers:
            viewer.context.close()

    return opening


@pytest.fixture
def open_viewer(open_viewers):
    """A function that opens tabs of the viewer, for one test."""
    with open_viewers() as open_one:
        yield open_one
