"""The viewer in a real browser, against a real server."""

import io
import re
from base64 import b64encode

import numpy as np
import pytest
from PIL import Image

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.shards import open_renders, read_views
from featurelib.geometry import SIDES, apply

OBJECT = "body-00003"


@pytest.fixture(scope="module")
def shown(open_viewers):
    """One tab with one object, for tests that leave it as it is."""
    with open_viewers() as open_one:
        viewer = open_one()
        viewer.open(f"?object={OBJECT}")
        yield viewer


def test_an_object_has_nine_views_and_four_dots(shown):
    """Image and model show predicted and true, left and right; both panels show their time; the console is empty."""
    four = {(kind, side) for kind in ("predicted", "true") for side in SIDES}
    statuses = shown.tab.locator(".panel .status").all_text_contents()

    assert shown.tab.locator("#strip button img").count() == 9
    assert four == set(shown.dots())
    assert {f"{kind}-{side}" for kind, side in four} == set(shown.marks())
    assert all(re.search(r"in [\d.]+ m?s$", status) for status in statuses), statuses
    assert shown.errors == []


def test_near_and_far_differ_in_shape_and_colour(shown):
    """In a side view the near instance is a disc and the far one a diamond, in their sides' colours."""
    shown.choose_view(1)
    kinds = shown.ask(
        "() => Object.fromEntries([...document.querySelectorAll('#dots .dot.predicted')]"
        ".map(dot => [dot.dataset.side, [dot.tagName, getComputedStyle(dot).fill]]))"
    )

    assert (kinds["right"][0], kinds["left"][0]) == ("circle", "path")
    assert kinds["right"][1] != kinds["left"][1]


@pytest.mark.parametrize("view", [0, 4, 7])
def test_dots_are_at_the_positions_of_the_api(shown, client, view):
    """In each view the dots are within a pixel of xy: the detector's two positions and the true ones."""
    shown.choose_view(view)
    found = client.post("/infer", json={"object_id": OBJECT, "view": view}).json()
    known = client.get(f"/objects/{OBJECT}").json()["views"][view]
    box = shown.tab.locator("#view-image").bounding_box()
    expected = {("predicted", side): found["pair"][side]["xy"] for side in SIDES}
    expected |= {("true", side): known[f"{side}_xy"] for side in SIDES}

    assert set(expected) == set(shown.dots())
    for key, place in shown.dots().items():
        there = (box["x"], box["y"]) + np.array(expected[key]) * (box["width"], box["height"])
        assert np.abs(place - there).max() < 1, key


def test_the_models_dots_are_at_the_points_of_the_api(shown, client):
    """Predicted and true landmarks are within a thousandth of a millimetre of the API's."""
    answer = client.post("/infer/3d", json={"object_id": OBJECT}).json()
    known = client.get(f"/objects/{OBJECT}").json()
    marks = shown.marks()

    for side in SIDES:
        np.testing.assert_allclose(marks[f"predicted-{side}"], answer[side]["xyz"], rtol=0, atol=1e-3)
        np.testing.assert_allclose(marks[f"true-{side}"], known[f"{side}_mm"], rtol=0, atol=1e-3)


def test_the_table_and_the_verdict_agree_with_the_api(shown, client):
    """They show coordinates, standard deviations, errors, and the verdict with its reason."""
    answer = client.post("/infer/3d", json={"object_id": OBJECT}).json()
    known = client.get(f"/objects/{OBJECT}").json()
    rows = [row.split("\t") for row in shown.tab.locator("#rows tr").all_inner_texts()]
    verdict = shown.tab.locator("#verdict")

    for side, row in zip(SIDES, rows, strict=True):
        xyz = answer[side]["xyz"]
        error = np.linalg.norm(np.subtract(xyz, known[f"{side}_mm"]))
        cells = [float(row[i]) for i in (1, 2, 3, 4, 6)]
        np.testing.assert_allclose(cells, [*xyz, answer[side]["sigma_mm"], error], atol=0.0051)
    assert verdict.get_attribute("data-verdict") == ("trust" if answer["accepted"] else "doubt")
    assert answer["reason"] in verdict.inner_text()


def test_the_distance_to_the_surface_equals_pythons(shown, dataset, client):
    """The page's closest point equals featurelib's."""
    from featurelib.meshes.surface import closest_points

    opened = open_dataset(str(dataset))
    mesh = opened.load(opened.files[OBJECT])
    point = [80.0, 10.0, 20.0]
    found = shown.ask("point => viewer.model.closest(point)", point)
    (expected,), (distance,), _ = closest_points([point], mesh.vertices_mm, mesh.faces)

    assert found["distance"] == pytest.approx(distance, abs=1e-6)
    np.testing.assert_allclose(found["point"], expected, atol=1e-4)


def test_x_ray_shows_occluded_dots(shown):
    """The mesh becomes translucent and no surface covers a dot; a second press restores the first state."""
    look = (
        "() => { const {opacity, transparent} = viewer.model.mesh.material;"
        " return [transparent, opacity, ['predicted', 'true'].map(kind =>"
        " viewer.model.scene.getObjectByName(kind).material.depthTest)]; }"
    )
    before = shown.ask(look)
    shown.tab.get_by_role("button", name="X-ray").click()
    through = shown.ask(look)
    shown.tab.keyboard.press("x")

    assert [False, 1, [True] * 2] == before == shown.ask(look)
    assert through == [True, pytest.approx(0.3), [False] * 2]


def test_wireframe_rays_and_spread_can_be_switched(shown):
    """W, R and U switch wireframe, rays and spread; each view has a ray, and each landmark an ellipsoid."""
    state = (
        "() => { const named = name => viewer.model.scene.getObjectByName(name);"
        " return [viewer.model.mesh.material.wireframe, named('rays').visible, named('spreads').visible]; }"
    )
    before = shown.ask(state)
    for key in "wru":
        shown.tab.keyboard.press(key)
    after = shown.ask(state)
    for key in "wru":
        shown.tab.keyboard.press(key)

    assert before == [False, False, True]
    assert after == [True, True, False]
    assert shown.ask("() => viewer.model.scene.getObjectByName('rays').geometry.attributes.position.count") == 2 * 9
    assert shown.ask("() => viewer.model.scene.getObjectByName('spreads').count") == 2


def test_rays_agree_with_the_api(shown, client):
    """Each ray's distance from the prediction equals the API's ray_mm."""
    answer = client.post("/infer/3d", json={"object_id": OBJECT}).json()
    ends = shown.ask("() => [...viewer.model.scene.getObjectByName('rays').geometry.attributes.position.array]")

    for seen, (start, end) in zip(answer["views"], np.reshape(ends, (9, 2, 3)), strict=True):
        offset, step = np.array(answer[seen["near_side"]]["xyz"]) - start, (end - start) / np.linalg.norm(end - start)
        assert np.linalg.norm(np.cross(offset, step)) == pytest.approx(seen["ray_mm"], abs=1e-2)


def view_rows(run, projection):
    """The object's rows of a rendering, by view."""
    return read_views(open_renders(str(run), projection).shard_of(OBJECT), object_id=OBJECT)


def silhouette(png, background):
    """The pixels of an image that differ from its background."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    return np.abs(pixels - background).max(axis=-1) > 8


def overlap(viewer, row):
    """The intersection over union of two silhouettes: the model's in the page and a rendered image's."""
    canvas = viewer.tab.locator("#canvas")
    shown = canvas.screenshot()
    pixels = np.asarray(Image.open(io.BytesIO(shown)).convert("RGB"))
    in_page = silhouette(shown, pixels[len(pixels) // 2, 2].astype(int))
    rendered = Image.fromarray(silhouette(row["png"], 255)).resize(in_page.shape[::-1], Image.Resampling.NEAREST)
    inside = np.asarray(rendered)
    return (in_page & inside).sum() / (in_page | inside).sum()


@pytest.mark.parametrize("view", [0, 3, 8])
def test_a_view_sets_the_camera_of_the_rig(shown, run, view):
    """After a click the camera's pose and the silhouette equal the rendered view's."""
    row = view_rows(run, "orthographic")[view]
    shown.choose_view(view)
    shown.tab.wait_for_timeout(200)
    pose = shown.ask(
        "() => { const c = viewer.model.camera(); c.updateMatrixWorld(); return c.matrixWorld.toArray(); }"
    )

    np.testing.assert_allclose(np.reshape(pose, (4, 4)).T.ravel(), row["object_from_camera"], atol=1e-6)
    assert overlap(shown, row) >= 0.95


@pytest.mark.parametrize("view", [2, 6])
def test_the_perspective_lens_equals_the_rigs(shown, run, view):
    """The silhouette equals the rendered view's in perspective, too."""
    row = {k: v for k, v in view_rows(run, "perspective")[view].items() if k != "png"}
    shown.ask("row => viewer.model.snap(row, row.centre_mm)", row)
    shown.tab.wait_for_timeout(200)

    assert overlap(shown, view_rows(run, "perspective")[view]) >= 0.95
    shown.choose_view(4)


def test_a_click_on_a_view_resets_a_rotated_model(shown, run):
    """Dragging rotates the model; a click on the view restores its camera."""
    shown.choose_view(3)
    box = shown.tab.locator("#canvas").bounding_box()
    shown.tab.mouse.move(box["x"] + 20, box["y"] + 20)
    shown.tab.mouse.down()
    shown.tab.mouse.move(box["x"] + 160, box["y"] + 90, steps=4)
    shown.tab.mouse.up()
    shown.tab.wait_for_timeout(200)
    rotated = overlap(shown, view_rows(run, "orthographic")[3])
    shown.choose_view(3)
    shown.tab.wait_for_timeout(200)

    assert rotated < 0.9
    assert overlap(shown, view_rows(run, "orthographic")[3]) >= 0.95


def test_the_page_aligns_as_python_does(shown, dataset):
    """All vertices and both labels equal Python's after unit, scale and quaternions."""
    opened = open_dataset(str(dataset))
    mesh = opened.load(opened.files[OBJECT])
    row = opened.objects.filter([i == OBJECT for i in opened.objects["object_id"].to_pylist()]).to_pylist()[0]
    truth_mm = apply(opened.object_from_source, np.reshape(row["landmarks"], (2, 3)))
    vertices, truth = shown.ask(
        "() => [[...viewer.model.mesh.geometry.attributes.position.array], viewer.state.details.truth]"
    )
    placed = shown.ask(
        "() => { viewer.model.mesh.updateMatrixWorld(); return viewer.model.mesh.matrixWorld.toArray(); }"
    )

    np.testing.assert_array_equal(np.reshape(vertices, (-1, 3)), mesh.vertices_mm)
    np.testing.assert_array_equal(placed, np.eye(4).ravel())
    np.testing.assert_allclose(truth, truth_mm, rtol=0, atol=1e-6)


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
def test_the_page_projects_as_python_does(shown, run, projection):
    """Projection and backprojection in Python and in the page agree to 1e-6."""
    spec = open_renders(str(run), projection).spec
    rows = view_rows(run, projection)
    points = np.add(rows[0]["centre_mm"], [[10, 20, 30], [-40, 5, 60.5], [0, 0, 0]])
    cameras = spec.cameras(np.array(rows[0]["centre_mm"]))
    script = (
        "async ([cameras, points]) => { const {project, backproject} = await import('/viewer/geometry.js');"
        " return cameras.map(camera => points.map(point => {"
        " const xy = project(camera, point); const ray = backproject(camera, xy);"
        " return [...xy, ...ray.origin, ...ray.direction]; })); }"
    )
    names = ("object_from_camera", "half_height_mm", "yfov_deg")
    found = np.array(shown.ask(script, [[{n: row[n] for n in names} for row in rows], points.tolist()]))

    for camera, of_view in zip(cameras, found, strict=True):
        xy = camera.project(points)
        np.testing.assert_allclose(of_view, np.hstack([xy, *camera.backproject(xy)]), rtol=0, atol=1e-6)


def test_the_spread_is_the_covariance(shown):
    """The page's factor L satisfies L L^T = covariance."""
    covariance = [[4.0, 1.0, -0.5], [1.0, 2.0, 0.3], [-0.5, 0.3, 1.0]]
    factor = np.array(shown.ask("async c => (await import('/viewer/geometry.js')).cholesky(c)", covariance))

    np.testing.assert_allclose(factor @ factor.T, covariance, atol=1e-12)


def test_a_dropped_mesh_has_a_result(open_viewer, client, dataset, served):
    """The page shows nine images, the mesh and the API's prediction; run and dataset have no new file."""
    before = sorted(path for folder in (dataset, served) for path in folder.rglob("*"))
    content = (dataset / "meshes" / f"{OBJECT}.ply").read_bytes()
    viewer = open_viewer()
    viewer.open(f"?object={OBJECT}")
    viewer.ask(
        "content => { const transfer = new DataTransfer();"
        " const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));"
        " transfer.items.add(new File([bytes], 'mine.ply'));"
        " const options = {dataTransfer: transfer, bubbles: true, cancelable: true};"
        " for (const type of ['dragenter', 'dragover', 'drop'])"
        "   document.body.dispatchEvent(new DragEvent(type, options)); }",
        b64encode(content).decode(),
    )
    viewer.until("viewer.state.subject?.title === 'mine.ply'")
    viewer.settle()
    expected = client.post("/infer/3d", files={"mesh": content}).json()

    assert viewer.tab.locator("#strip button img:visible").count() == 9
    assert {("predicted", side) for side in SIDES} == set(viewer.dots())
    for side in SIDES:
        np.testing.assert_allclose(viewer.marks()[f"predicted-{side}"], expected[side]["xyz"], atol=1e-2)
    assert viewer.errors == []
    assert before == sorted(path for folder in (dataset, served) for path in folder.rglob("*"))


def test_an_error_of_the_server_is_a_message(open_viewer, tmp_path):
    """The page reports a damaged file and an unknown object, and works afterwards."""
    (tmp_path / "bad.ply").write_bytes(b"ply\nnot really")
    viewer = open_viewer()
    viewer.tab.goto("/?object=nobody")
    viewer.tab.get_by_role("alert").get_by_text("nobody").wait_for()
    viewer.tab.set_input_files("#file", tmp_path / "bad.ply")
    viewer.tab.get_by_role("alert").get_by_text("mesh").wait_for()
    verdict = viewer.tab.locator("#verdict").get_attribute("data-verdict")
    viewer.tab.locator("#list li").nth(2).click()
    viewer.settle()

    assert verdict == "failed"
    assert viewer.tab.locator("#verdict").get_attribute("data-verdict") in ("trust", "doubt")
    assert viewer.tab.get_by_role("alert").inner_text() == ""


def test_an_unreachable_server_is_a_message(open_viewer):
    """Without a response, the page reports it and offers to try again."""
    viewer = open_viewer()
    viewer.open(f"?object={OBJECT}")
    viewer.context.set_offline(True)
    viewer.tab.locator("#list li").nth(5).click()
    viewer.tab.get_by_role("alert").get_by_text("cannot be reached").wait_for()
    viewer.context.set_offline(False)
    viewer.tab.get_by_role("button", name="Try again").click()
    viewer.settle()

    assert viewer.ask("() => viewer.state.subject.id") == "body-00005"


def test_the_page_asks_for_the_token(open_viewer, settings):
    """It asks once, and again after a wrong token; all later requests have the token."""
    viewer = open_viewer(token=None)
    viewer.tab.goto("/")
    for token in ("wrong-horse", settings.token):
        viewer.tab.locator("#token").fill(token)
        viewer.tab.get_by_role("button", name="Continue").click()
    viewer.settle()

    assert viewer.tab.locator("#list li").count() == 14
    assert viewer.ask("() => Object.keys(localStorage).length + document.cookie.length") == 0


def test_objects_are_searched_sorted_and_stepped_through(open_viewer, client):
    """Search filters, sorting by error puts the worst first, keys step, and the address restores the page."""
    scores = client.get("/scores").json()["objects"]
    worst = max(scores, key=lambda object_id: scores[object_id]["error_mm"])
    viewer = open_viewer()
    viewer.open("")
    viewer.tab.locator("#sort").select_option("error_mm")
    ids = viewer.tab.locator("#list li span").all_text_contents()
    viewer.tab.locator("#list li").first.click()
    viewer.tab.keyboard.press("ArrowDown")
    viewer.tab.keyboard.press("ArrowRight")
    viewer.settle()
    address = viewer.tab.url
    viewer.tab.go_back()
    viewer.until(f"viewer.state.subject.id === '{ids[0]}'")
    again = open_viewer()
    again.open(f"?{address.partition('?')[2]}")
    viewer.tab.keyboard.press("/")
    viewer.tab.keyboard.type("0001")

    assert worst == ids[0]
    assert (ids[1], 5) == tuple(again.ask("() => [viewer.state.subject.id, viewer.state.view]"))
    assert {"body-00010", "body-00011", "body-00012", "body-00013", "body-00001"} == set(
        viewer.tab.locator("#list li span").all_text_contents()
    )


def test_every_control_has_a_name(shown):
    """Each control has a name for screen readers."""
    nameless = shown.ask(
        "() => [...document.querySelectorAll('button, select, input, [tabindex], img:not([alt])')]"
        ".filter(e => !e.closest('dialog:not([open])') && !e.hidden)"
        ".filter(e => !(e.ariaLabel || e.textContent.trim() || e.labels?.length || e.getAttribute('aria-labelledby')))"
        ".map(e => e.outerHTML)"
    )

    assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 720), (820, 1180)])
def test_the_page_fits_the_screen(shown, scheme, size):
    """At 1280 x 720 and on a tablet, in both colour schemes, nothing scrolls and the text has contrast."""
    shown.tab.set_viewport_size({"width": size[0], "height": size[1]})
    shown.tab.emulate_media(color_scheme=scheme)
    shown.tab.wait_for_timeout(100)
    width, height = shown.ask("() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    stages = shown.ask("() => [...document.querySelectorAll('.stage')].map(e => e.clientWidth)")
    ink, ground = shown.ask("() => { const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]; }")
    shown.tab.set_viewport_size({"width": 1280, "height": 720})
    shown.tab.emulate_media(color_scheme="light")

    assert (width, height) <= size
    assert min(stages) > 300
    assert contrast(ink, ground) > 7


def test_without_three_js_only_the_model_is_missing(open_viewer):
    """A set-up without npm has no 3D panel, and says so; images, prediction and numbers are shown."""
    viewer = open_viewer()
    viewer.context.route("**/viewer/vendor/**", lambda route: route.abort())
    viewer.tab.goto(f"/?object={OBJECT}")
    viewer.until("document.getElementById('model-status').dataset.state === 'done'")
    viewer.tab.get_by_text("has no three.js").wait_for()

    assert {("predicted", side) for side in SIDES} < set(viewer.dots())
    assert viewer.tab.locator("#rows tr").count() == 2
    assert viewer.tab.get_by_role("alert").inner_text() == ""
    assert viewer.tab.get_by_role("button", name="Label").is_hidden()


def contrast(*colours):
    """The contrast ratio of two CSS colours (WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""
    rgb = np.array([[int(v) for v in re.findall(r"\d+", colour)[:3]] for colour in colours]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    dark, light = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return (light + 0.05) / (dark + 0.05)
