"""The viewer without a run, and without this checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import httpx
import numpy as np
import pytest

from featurelib.datasets.dataset import open_dataset
from featurelib.geometry import apply

ROOT = Path(__file__).parents[2]


@pytest.fixture
def meshes(bodies, tmp_path):
    """Two meshes and a dataset.json, without labels."""
    folder = tmp_path / "meshes-only"
    (folder / "meshes").mkdir(parents=True)
    shutil.copy(bodies / "dataset.json", folder)
    for number in range(2):
        shutil.copy(bodies / "meshes" / f"body-0000{number}.ply", folder / "meshes")
    return folder


@pytest.fixture
def labelling_server(meshes, serving):
    """The address of a server of this checkout."""
    with serving("--dataset", meshes, "--label", cwd=meshes) as address:
        yield address


@pytest.mark.slow  # a minute: a server with its own Ray cluster
def test_a_dataset_is_made_from_meshes_alone(labelling_server, meshes, open_viewer_of, facing_mm, token):
    """Both objects are labelled by clicks, and `open_dataset` reads the resulting table."""
    client = httpx.Client(base_url=labelling_server, headers={"authorization": f"Bearer {token}"})
    viewer = open_viewer_of(labelling_server, token)
    viewer.tab.goto("/?label")
    placed = {}
    for number in range(2):
        object_id = f"body-0000{number}"
        viewer.until(f"globalThis.viewer?.state.subject?.id === '{object_id}' && !!viewer.model.mesh")
        viewer.until("document.getElementById('label-status').dataset.state === 'done'")
        placed[object_id] = facing_mm(object_id)
        for side, view, point in zip(("left", "right"), (8, 0), placed[object_id], strict=True):
            viewer.tab.locator(f"#strip [data-view='{view}']").click()
            viewer.tab.get_by_role("radio", name=side).check()
            viewer.click_at(point)
        viewer.tab.keyboard.press("s")
        viewer.until("document.getElementById('label-status').textContent === 'saved'")
        viewer.tab.keyboard.press("n")
    viewer.tab.get_by_text("every object has a label").wait_for()
    rejected = client.post("/infer/3d", json={"object_id": "body-00000"})
    dataset = open_dataset(str(meshes))

    assert (rejected.status_code, rejected.json()["error"]["code"]) == (404, "not_found")
    assert viewer.errors == []
    for row in dataset.objects.to_pylist():
        found_mm = apply(dataset.object_from_source, np.reshape(row["landmarks"], (2, 3)))
        assert np.linalg.norm(found_mm - placed[row["object_id"]], axis=1).max() < 0.5


@pytest.mark.slow  # builds a wheel, and starts a server with its own Ray cluster
def test_an_installed_wheel_serves_the_viewer(meshes, tmp_path, serving):
    """Installed elsewhere, without Node.js, the server sends all files of the page, three.js included."""
    uv = shutil.which("uv") or ROOT / ".uv" / "bin" / "uv"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".uv")}

    def run(*arguments, **options):
        return subprocess.run(arguments, check=True, capture_output=True, text=True, env=environment, **options).stdout

    run(uv, "build", "--quiet", "--wheel", "--out-dir", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    run(uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(uv, "pip", "install", "--quiet", "--no-deps", "--python", python, wheel)
    environment["PYTHONPATH"] = sysconfig.get_path("purelib")  # its dependencies, but not this checkout
    environment["PATH"] = str(tmp_path / "venv" / "bin")  # without node
    where = run(python, "-c", "import serve.api.static_files as p; print(p.__file__)", cwd=tmp_path).strip()
    viewer = ROOT / "serve" / "viewer"
    names = [path.relative_to(viewer).as_posix() for kind in ("*.js", "*.css") for path in viewer.glob(kind)]
    names += ["vendor/three.module.js", "vendor/three.core.js", "vendor/loaders/GLTFLoader.js"]

    assert Path(where).is_relative_to(tmp_path)
    with serving("--dataset", meshes, "--label", cwd=meshes, python=python, **environment) as address:
        assert "<title>" in httpx.get(f"{address}/").text
        for name in names:
            answer = httpx.get(f"{address}/viewer/{name}")
            assert answer.status_code == 200, name
            assert answer.content == (viewer / name).read_bytes()
