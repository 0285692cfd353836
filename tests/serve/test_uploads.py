"""Uploaded images and meshes, over real HTTP."""

import csv
import io
import shutil

import numpy as np
import pytest
from PIL import Image

from featurelib.datasets.shards import open_renders, read_views
from featurelib.geometry import apply
from featurelib.meshes import load_mesh


def rendered_view(run, object_id="body-00002", view=0):
    """A rendered view's PNG."""
    manifest = open_renders(str(run), "orthographic")
    return read_views(manifest.shard_of(object_id), object_id=object_id, view=view)[0]["png"]


def as_file(image, kind="PNG", **options):
    """An image as the bytes of a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def find(client, content, **fields):
    """The response of /infer to an uploaded image."""
    answer = client.post("/infer", files={"image": ("image.bin", content)}, data=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_uploaded_view_equals_the_stored_one(client, run):
    """An image has one result, uploaded or stored; in a side view the near instance is the most visible one."""
    stored = client.post("/infer", json={"object_id": "body-00002", "view": 0, "projection": "orthographic"}).json()
    sent = find(client, rendered_view(run))

    if sent["side"] == stored["side"]:  # a network trained for two epochs may be wrong
        np.testing.assert_allclose(sent["xy"], stored["xy"], atol=1e-6)
    np.testing.assert_allclose(np.multiply(sent["xy"], 128), sent["px"], rtol=1e-5)
    assert stored["model"] == sent["model"]
    assert sent["sigma_px"] > 0


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "I;16"])
def test_every_kind_of_pixel_is_read(client, run, mode):
    """Grey, colour, transparency, palettes and 16 bits give the detector the same image, to rounding."""
    grey = Image.open(io.BytesIO(rendered_view(run)))
    image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    expected, found = find(client, rendered_view(run)), find(client, as_file(image))

    if mode != "1":
        np.testing.assert_allclose(found["xy"], expected["xy"], atol=1e-3)


def test_transparent_pixels_are_white(client, run):
    """They equal the background of the rendered images."""
    grey = np.asarray(Image.open(io.BytesIO(rendered_view(run))))
    rgba = np.dstack([grey, grey, grey, np.where(grey == 255, 0, 255).astype(np.uint8)])
    rgba[grey == 255, :3] = 0

    np.testing.assert_allclose(
        find(client, as_file(Image.fromarray(rgba)))["xy"], find(client, rendered_view(run))["xy"], atol=1e-3
    )


def test_an_oblong_image_is_padded(client, run):
    """Padding changes only the coordinates, which are those of the original image."""
    square = Image.open(io.BytesIO(rendered_view(run)))
    cut = square.crop((0, 20, 128, 108))
    padded = Image.new("L", (128, 128), 255)
    padded.paste(cut, (0, 20))
    expected, found = find(client, as_file(padded)), find(client, as_file(cut))

    np.testing.assert_allclose(found["px"], np.subtract(expected["px"], (0, 20)), atol=1e-3)


def test_a_photograph_is_rotated_by_its_exif_tag(client, run):
    """The rotation precedes the detection."""
    image = Image.open(io.BytesIO(rendered_view(run))).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown rotated by 90 degrees
    rotated = image.rotate(90, expand=True)
    straight, by_exif = (
        find(client, as_file(image, "JPEG", quality=98)),
        find(client, as_file(rotated, "JPEG", quality=98, exif=exif.tobytes())),
    )

    np.testing.assert_allclose(by_exif["xy"], straight["xy"], atol=5e-3)


@pytest.fixture(scope="module")
def predicted(address, run, bodies, tmp_path_factory):
    """The predictions of `predict` for two of the bodies, by object and landmark, in the object frame."""
    from featurelib.datasets.dataset import open_dataset
    from jobs.predict import PredictConfig, predict

    folder = tmp_path_factory.mktemp("two")
    (folder / "meshes").mkdir()
    shutil.copy(bodies / "dataset.json", folder)
    for name in ("body-00002", "body-00005"):
        shutil.copy(bodies / "meshes" / f"{name}.ply", folder / "meshes")
    predict(PredictConfig(dataset=str(folder), run=str(run), out=str(folder / "out")))
    rows = list(csv.DictReader((folder / "out" / "predictions.csv").read_text().splitlines()))
    to_mm = open_dataset(str(folder), labelled=False).object_from_source
    return {(row["object_id"], row["landmark"]): (apply(to_mm, [point_of(row)])[0], row) for row in rows}


def point_of(row):
    """The point of a row of predictions.csv."""
    return [float(row[axis]) for axis in "xyz"]


@pytest.mark.parametrize("name", ["body-00002", "body-00005"])
def test_an_uploaded_mesh_equals_predict(client, bodies, predicted, name):
    """The server and `predict` agree on a file: to 0.01 mm, with the same standard deviations and the same reason."""
    content = (bodies / "meshes" / f"{name}.ply").read_bytes()
    answer = client.post("/infer/3d", files={"mesh": ("anything.ply", content)})

    assert answer.status_code == 200, answer.text
    found = answer.json()
    for landmark in found["landmarks"]:
        point_mm, row = predicted[name, landmark["name"]]
        np.testing.assert_allclose(landmark["xyz"], point_mm, atol=0.01)
        assert landmark["sigma_mm"] == pytest.approx(float(row["sigma_mm"]), rel=1e-4)
        assert [str(landmark[key]).lower() for key in ("present", "accepted")] == [row["present"], row["accepted"]]
        assert row["reason"] == landmark["reason"]
    assert found["landmarks"] == [found["left"], found["right"]]
    assert found["accepted"] == all(landmark["accepted"] for landmark in found["landmarks"])
    assert list(range(9)) == [view["view"] for view in found["views"]]
    assert {"prepare", "detect", "lift", "total"} == set(found["timings_ms"])


def test_an_uploaded_mesh_equals_the_stored_one(client, bodies):
    """A mesh has one result, uploaded or stored; its format is detected from its bytes, not from its name."""
    content = (bodies / "meshes" / "body-00003.ply").read_bytes()
    sent = client.post("/infer/3d", files={"mesh": ("wrong.stl", content)}, data={"method": "template"}).json()
    stored = client.post("/infer/3d", json={"object_id": "body-00003", "method": "template"}).json()

    np.testing.assert_allclose(sent["left"]["xyz"], stored["left"]["xyz"], atol=0.01)
    np.testing.assert_allclose(sent["right"]["xyz"], stored["right"]["xyz"], atol=0.01)


@pytest.mark.parametrize("method", ["mlp", "triangulation", "robust_all", "refined"])
def test_uploads_take_the_methods_of_objects(client, bodies, method):
    """Each method without labels works for an upload."""
    content = (bodies / "meshes" / "body-00003.ply").read_bytes()
    answer = client.post("/infer/3d", files={"mesh": content}, data={"method": method})

    assert (200, method) == (answer.status_code, answer.json().get("method")), answer.text


def test_an_upload_may_name_its_unit(client, bodies):
    """The run's bodies are in inches: that is the default; in metres they do not fit the frame."""
    content = (bodies / "meshes" / "body-00003.ply").read_bytes()
    plain = client.post("/infer/3d", files={"mesh": content}, data={"method": "template"}).json()
    inches = client.post("/infer/3d", files={"mesh": content}, data={"method": "template", "unit": "inch"}).json()
    metres = client.post("/infer/3d", files={"mesh": content}, data={"method": "template", "unit": "m"})

    assert plain["left"]["xyz"] == inches["left"]["xyz"]
    assert metres.status_code == 422
    assert "mm" in metres.json()["error"]["message"]


def test_a_mesh_is_sent_in_the_object_frame(client, bodies):
    """mesh.glb is the dataset's mesh after unit and alignment, in the labels' millimetres."""
    from featurelib.datasets.dataset import MeshFile, open_dataset

    answer = client.get("/objects/body-00007/mesh.glb")
    expected = open_dataset(str(bodies)).load(MeshFile("body-00007.ply"))
    found = load_mesh(answer.content, "glb", np.eye(4), name="mesh.glb")

    assert answer.headers["content-type"] == "model/gltf-binary"
    np.testing.assert_array_equal(found.vertices_mm, expected.vertices_mm)
    np.testing.assert_array_equal(found.faces, expected.faces)
