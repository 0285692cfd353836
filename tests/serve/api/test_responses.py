"""The fields of responses besides positions: both instances, rays, covariances, cameras, scores, scenes."""

import base64
import csv
import io

import numpy as np
import pytest
from PIL import Image

from featurelib.datasets.shards import open_renders, read_views
from featurelib.geometry import SIDES
from featurelib.meshes import load_mesh

REQUEST = {"object_id": "body-00003"}


def test_about_describes_the_server(client, dataset):
    """It names the landmarks and the projections that have a detector, and labels may be saved."""
    names = ["ear_tip_left", "ear_tip_right"]
    landmarks = {"names": names, "pairs": [names], "midline": [], "unpaired": [], "mirror": "swap"}
    landmarks |= {"outlines": [], "definitions": {}}
    expected = {"landmark": "ear_tip", "landmarks": landmarks, "projections": ["orthographic"], "labelling": True}

    assert client.get("/about").json() == {**expected, "folds": None}


def test_an_image_has_both_instances(client):
    """xy is the near instance, in /infer and in /infer/3d, and sigma_px is the norm of its parts."""
    for view in client.post("/infer/3d", json=REQUEST).json()["views"]:
        one = client.post("/infer", json={**REQUEST, "view": view["view"]}).json()
        near = view["pair"][view["near_side"]]

        assert (near["xy"], near["px"]) == (view["xy"], view["px"])
        np.testing.assert_allclose(one["xy"], view["xy"], atol=1e-5)
        np.testing.assert_allclose(one["pair"]["left"]["xy"], view["pair"]["left"]["xy"], atol=1e-5)
        assert np.hypot(*view["sigma_xy_px"]) == pytest.approx(view["sigma_px"])
        assert all(0 <= view["pair"][side]["visible"] <= 1 for side in SIDES)


def test_ray_mm_is_the_distance_of_the_point_from_the_ray(client, run):
    """ray_mm is recomputed from the view's camera; inlier follows from it and the view's noise."""
    spec = open_renders(str(run), "orthographic").spec
    centre_mm = client.get(f"/objects/{REQUEST['object_id']}").json()["centre_mm"]
    answer = client.post("/infer/3d", json={**REQUEST, "method": "robust_all"}).json()

    for camera, view in zip(spec.cameras(np.array(centre_mm)), answer["views"], strict=True):
        ray = camera.backproject(view["xy"])
        offset = np.array(answer[view["near_side"]]["xyz"]) - ray.origins_mm
        assert view["ray_mm"] == pytest.approx(np.linalg.norm(np.cross(offset, ray.directions)), abs=1e-6)
        sigma_mm = view["sigma_px"] / np.sqrt(2) / spec.image_size * spec.frame_mm
        assert view["inlier"] == (view["ray_mm"] <= 3.03 * sigma_mm)


def test_the_covariance_agrees_with_sigma(client):
    """Its mean variance is sigma_mm squared; a requested method has no covariance."""
    answer = client.post("/infer/3d", json=REQUEST).json()
    other = client.post("/infer/3d", json={**REQUEST, "method": "mlp"}).json()

    for side in SIDES:
        assert np.trace(answer[side]["covariance_mm2"]) / 3 == pytest.approx(answer[side]["sigma_mm"] ** 2)
        assert other[side]["covariance_mm2"] is None


def test_an_object_has_its_cameras_and_true_positions(client, run):
    """Each view equals its row in the shard."""
    views = client.get("/objects/body-00003").json()["views"]
    rows = read_views(open_renders(str(run), "orthographic").shard_of("body-00003"), object_id="body-00003")
    names = ("object_from_camera", "half_height_mm", "yfov_deg")

    assert [{name: row[name] for name in names} for row in rows] == [{n: view[n] for n in names} for view in views]
    for row, view in zip(rows, views, strict=True):
        both = [view["left_xy"], view["right_xy"]]
        np.testing.assert_allclose(np.reshape(row["landmarks_xy"], (2, 2)), both, atol=1e-6)
        assert both == [one["xy"] for one in view["landmarks"]]
        assert row["landmarks_visible"] == [view["left_visible"], view["right_visible"]]
        assert SIDES[row["near"][0]] == view["near_side"]


def test_a_scene_has_the_images_and_the_mesh(client, bodies, run):
    """With `scene` the response to an upload has the rig's images and its mesh; without, it has neither."""
    content = (bodies / "meshes" / "body-00003.ply").read_bytes()
    plain = client.post("/infer/3d", files={"mesh": content}).json()
    scene = client.post("/infer/3d", files={"mesh": content}, data={"scene": "true"}).json()["scene"]
    rows = read_views(open_renders(str(run), "orthographic").shard_of("body-00003"), object_id="body-00003")
    mesh = load_mesh(base64.b64decode(scene["glb"]), "glb", np.eye(4), name="scene.glb")

    assert plain["scene"] is None
    np.testing.assert_allclose(mesh.centre_mm, scene["centre_mm"], atol=1e-4)
    for row, view, image in zip(rows, scene["views"], scene["images"], strict=True):
        np.testing.assert_allclose(view["object_from_camera"], row["object_from_camera"], atol=1e-4)
        drawn, stored = (Image.open(io.BytesIO(png)) for png in (base64.b64decode(image), row["png"]))
        np.testing.assert_array_equal(np.asarray(drawn), np.asarray(stored))


def test_scores_equal_the_report(client, run):
    """Both scores, error and distance from the registered mean shape, are the larger value of both sides."""
    scores = client.get("/scores").json()
    with (run / "report" / "per_object.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["projection"] == "orthographic"]
    by_method = {(row["object_id"], row["method"], row["landmark"]): row for row in rows}
    xyz = {key: np.array([float(row[f"{axis}_mm"]) for axis in "xyz"]) for key, row in by_method.items()}

    assert {row["object_id"] for row in rows} == set(scores["objects"])
    for object_id, score in scores["objects"].items():
        chosen = [(object_id, scores["method"], f"ear_tip_{side}") for side in SIDES]
        apart = [np.linalg.norm(xyz[key] - xyz[object_id, "template", key[2]]) for key in chosen]
        assert score["error_mm"] == max(float(by_method[key]["error_mm"]) for key in chosen)
        assert score["disagreement_mm"] == pytest.approx(max(apart))
