"""Every planted fault is found, named and explained, and nothing else is."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.dataset_json import set_values, settings_json
from featurelib.datasets.landmark_table import write_landmarks
from featurelib.datasets.objects_table import write_objects
from featurelib.datasets.synthetic import LANDMARKS, make_body
from featurelib.geometry import LandmarkSet, mirror_landmarks, mirror_permutation
from featurelib.meshes.writers.ply import ply
from featurelib.validation.dataset.rules import RULES, check

COUNT = 44
ABOUT_Y = np.diag([-1.0, 1.0, -1.0])


def body(i: int) -> str:
    return f"body-{i:05d}"


def found(findings, severities=("error", "warning")) -> set[tuple[str, str | None]]:
    """The rule and the object of each finding of these severities, without the warning that the objects are few."""
    few = ("split", "warning")
    return {(f.rule, f.object_id) for f in findings if f.severity in severities and (f.rule, f.severity) != few}


def line(findings, rule: str, object_id: str | None = None) -> str:
    """The one finding of a rule about an object, as the user reads it."""
    (finding,) = [f for f in findings if (f.rule, f.object_id) == (rule, object_id)]
    return str(finding)


def plant(dataset) -> dict[tuple[str, str], list[str]]:
    """Corrupt objects of a dataset of 44, one fault each; return the expected findings and words of their lines."""
    expected = {}

    def expect(rule, i, *words):
        expected[rule, i if isinstance(i, str) else body(i)] = words

    dataset.path(body(0)).write_bytes(b"")
    expect("mesh-file", 0, "meshes/body-00000.ply: the file is empty", "copy it again")
    content = dataset.path(body(1)).read_bytes()
    dataset.path(body(1)).write_bytes(content[: len(content) // 2])
    expect("mesh-file", 1, "meshes/body-00001.ply")
    dataset.move(body(2), np.eye(3) / 1000)
    expect("unit", 2, "as if in m among mm", "multiply its vertices and labels by 1000")
    dataset.move(body(3), np.eye(3) / 25.4)
    expect("unit", 3, "as if in inch among mm", "by 25.4")
    dataset.move(body(4), ABOUT_Y)
    expect(
        "turned", 4, "its face is towards -z, its top towards +y and its left towards -x", "rotated by", "degrees about"
    )
    dataset.move(body(5), Rotation.from_euler("x", 90, degrees=True).as_matrix())
    expect("turned", 5, "its face is towards -y, its top towards +z and its left towards +x")
    dataset.move(body(6), np.diag([1.0, 1.0, -1.0]))
    expect(
        "turned",
        6,
        "its face is towards -z, its top towards +y and its left towards +x",
        "z axis seems flipped",
        "in z",
    )
    dataset.label(body(7), dataset.pair(body(7))[::-1])
    expect("swapped", 7, "exchanged compared with the others", "swap left and right in its rows")
    outwards = dataset.pair(body(8)) + np.array([[12.0, 0, 0], [0, 0, 0]])
    dataset.label(body(8), outwards)
    expect("off-surface", 8, "ear_tip_left is", "mm off the surface", "label its ear_tip_left again")
    dataset.label(body(9), dataset.pair(body(9)) / 10)
    expect("off-surface", 9, "another unit")
    mesh = dataset.mesh(body(10))
    nose = mesh.vertices[mesh.vertices[:, 2].argmax()]
    dataset.label(body(10), [dataset.pair(body(10))[0], nose])
    expect("misplaced", 10, "ear_tip_right is", "from its place on the mean shape", "check its ear_tip_right")
    dataset.label(body(11), dataset.pair(body(11))[[0, 0]])
    expect("one-place", 11, "ear_tip_left and ear_tip_right are 0 mm apart", "label one of the two again")
    mesh = dataset.mesh(body(12))
    screen = trimesh.creation.box([2, 30, 30]).apply_translation(dataset.pair(body(12))[0] + [12, 0, 0])
    joined = trimesh.util.concatenate([mesh, screen])
    dataset.write(body(12), joined.vertices, joined.faces)
    expect("occluded", 12, "the surface hides its ear_tip_left in the view from its side", "check its ear_tip_left")
    mesh = dataset.mesh(body(13))
    rod = trimesh.creation.box([4, 260, 4]).apply_translation([0, mesh.bounds[1, 1] + 120, mesh.bounds[:, 2].mean()])
    joined = trimesh.util.concatenate([mesh, rod])
    dataset.write(body(13), joined.vertices, joined.faces)
    expect("frame", 13, "it needs an image", "the median object needs", "all images get this width")
    shutil.copy(dataset.path(body(14)), dataset.path(body(15)))  # 14 is in val, 15 in test
    dataset.label(body(15), dataset.pair(body(14)))
    expect("duplicate", 15, "the same content as that of body-00014, in test and in val", "`group`")
    shutil.copy(dataset.path(body(16)), dataset.path(body(17)))  # both in train
    dataset.label(body(17), dataset.pair(body(16)))
    expect("duplicate", 17, "the same content as that of body-00016", "keep one")
    twin, turn = dataset.mesh(body(18)), Rotation.from_rotvec([3, 5, 2], degrees=True).as_matrix() * 1.03
    dataset.write(body(19), (twin.vertices @ turn.T).round(1), twin.faces)
    dataset.label(body(19), dataset.pair(body(18)) @ turn.T)
    expect("near-duplicate", 19, "the same shape as that of body-00018, in test and in val")
    dataset.rows[body(20)]["group"] = dataset.rows[body(22)]["group"] = "family"
    expect("table", 22, "group 'family' is in train and val", "a group has one split")
    dataset.rows[body(21)].update(left_x="", left_y="", left_z="")
    expect("table", 21, "landmarks.csv line 23: left_x is ''", "expected a number")
    dataset.path(body(23)).unlink()
    expect("label-without-mesh", 23, "meshes/ has no body-00023.ply|", "add the mesh or correct")
    del dataset.rows[body(24)]
    expect("mesh-without-label", 24, "meshes/body-00024.ply has no row in landmarks.csv", "label or remove it")
    dataset.mesh(body(25)).export(dataset.path(body(25)).with_suffix(".off"))
    expect("table", 25, "body-00025.ply and body-00025.off are both object body-00025", "keep one")
    dataset.label(body(26), dataset.pair(body(27)))
    expect("copied-label", 27, "exactly the coordinates of body-00026, but another mesh")
    dataset.more_rows.append(dataset.rows[body(28)])
    expect("table", 28, "duplicate object_id 'body-00028'", "keep one row")
    dataset.write(body(29), *_torus())
    expect("unlike", 29, "the mean shape", "another kind of object")
    dataset.rows[body(30)]["split"] = "training"
    expect("table", 30, "split 'training'", "expected train, val, test or nothing")
    pair = dataset.pair(body(31))
    dataset.label(body(31), [[0, 0, 0], pair[1]])
    expect("unplaced", 31, "its ear_tip_left is at 0, 0, 0", "not placed", "label its ear_tip_left, or remove")
    _with_part(dataset, body(32), [3000, 0, 0])
    expect("stray", 32, "1 part with 12 of its", "mm from the rest: it is", "delete what does not belong")
    return expected


def _with_part(dataset, name: str, place, size: float = 10.0) -> None:
    """Add a small box to a mesh."""
    mesh = dataset.mesh(name)
    joined = trimesh.util.concatenate([mesh, trimesh.creation.box([size] * 3).apply_translation(place)])
    dataset.write(name, joined.vertices, joined.faces)


def _torus():
    torus = trimesh.creation.torus(120, 40)
    return torus.vertices, torus.faces


MAY_FOLLOW = {
    ("off-surface", body(26)),  # another's label
    ("misplaced", body(26)),
    ("occluded", body(9)),
    ("off-surface", body(29)),
    ("unlike", body(13)),
}
"""Findings that may follow from a planted fault."""


@pytest.fixture(scope="module")
def planted(clean, editor, survey_of, tmp_path_factory):
    """The findings of a dataset with a fault of every kind, and the expected ones."""
    dataset = editor(Path(shutil.copytree(clean, tmp_path_factory.mktemp("planted") / "dataset")))
    expected = plant(dataset)
    dataset.save()
    (dataset.folder / "meshes/notes.txt").write_text("of the scanner")
    return check(survey_of(dataset.folder)), expected


def test_a_clean_dataset_has_no_errors_and_no_warnings(clean_survey):
    """It has notes on the size of the objects, the width of the images and the splits; its objects are few."""
    findings = check(clean_survey)

    assert found(findings) == set()
    assert [(finding.rule, finding.severity) for finding in findings] == [
        ("split", "warning"),
        *((rule, "note") for rule in ("size", "frame", "split")),
    ]


def test_every_planted_fault_is_found_and_nothing_else(planted):
    """Each fault is found by its rule at its object; other findings must follow from a fault."""
    findings, expected = planted

    assert found(findings) >= set(expected)
    assert found(findings) - set(expected) - MAY_FOLLOW == set()


def test_every_finding_has_its_value_and_its_fix(planted):
    """A finding is one line, with the value and the fix."""
    findings, expected = planted
    lines = {key: line(findings, *key) for key in expected}

    missing = {key: (words, lines[key]) for key, words in expected.items() if not all(w in lines[key] for w in words)}
    assert missing == {}
    assert all("\n" not in str(finding) and finding.message and finding.fix for finding in findings)


def test_errors_come_first(planted):
    """Errors come before warnings, and notes come last."""
    severities = [finding.severity for finding in planted[0]]

    assert severities == sorted(severities, key=("error", "warning", "note").index)


def test_a_file_that_is_not_a_mesh_is_noted(planted):
    """It may be anything, so it is not a warning."""
    assert "meshes/notes.txt is not read" in line(planted[0], "unused-file")


def test_every_rule_has_a_name_and_a_docstring():
    """A rule is added to the tuple of rules and nowhere else."""
    assert len({rule.__name__ for rule in RULES}) == len(RULES)
    assert all(rule.__doc__ for rule in RULES)


def few(corrupted, count: int = 12) -> None:
    """Keep the first objects only."""
    for name in list(corrupted.rows)[count:]:
        del corrupted.rows[name]
        corrupted.path(name).unlink()


def align(corrupted, wxyz, unit="mm") -> None:
    text = f'{{"unit": "{unit}", "landmark": "ear_tip", "alignment": {{"rotations_wxyz": [{wxyz}]}}}}'
    (corrupted.folder / "dataset.json").write_text(text)


@pytest.mark.parametrize(
    ("wxyz", "words"),
    [
        ([0, 0, 1, 0], ["left is at -x", "left x > right x in 0 of 12", "x seems flipped", "[[0, 0, 1, 0]]"]),
        ([0.5**0.5, 0, 0, 0.5**0.5], ["runs towards +y, not +x", '"rotations_wxyz": [[0.7']),
        ([0.5**0.5, 0, 0.5**0.5, 0], ["runs towards -z, not +x"]),
    ],
)
def test_a_whole_dataset_in_other_axes_is_one_error(corrupted, survey_of, wxyz, words):
    """No object differs from the others, so there is one line on all of them."""
    few(corrupted)
    align(corrupted, wxyz)
    corrupted.save()

    findings = check(survey_of(corrupted.folder))

    assert {key for key in found(findings) if key[0] != "split"} == {("axes", None)}
    assert all(word in line(findings, "axes") for word in words)


def test_without_labels_shapes_tell_the_axes(corrupted, survey_of):
    """Objects that are symmetric across z are rotated; the contact sheet shows in which direction."""
    few(corrupted)
    align(corrupted, [0.5**0.5, 0, 0.5**0.5, 0])
    (corrupted.folder / "landmarks.csv").unlink()

    findings = check(survey_of(corrupted.folder))

    assert found(findings) == {("axes", None)}
    assert "symmetric across z, not across x" in line(findings, "axes")


def test_without_labels_the_rest_is_checked(corrupted, survey_of):
    """A dataset for predictions has no labels: the rules on labels are skipped with a note, all others are applied."""
    few(corrupted, 16)
    corrupted.move(body(3), ABOUT_Y)
    corrupted.move(body(5), np.eye(3) * 10)
    shutil.copy(corrupted.path(body(1)), corrupted.path(body(6)))
    (corrupted.folder / "landmarks.csv").unlink()

    findings = check(survey_of(corrupted.folder))

    assert found(findings) == {("turned", body(3)), ("unit", body(5)), ("duplicate", body(6))}
    assert "about y, or its z axis is flipped" in line(findings, "turned", body(3))
    assert "no landmarks.csv: the rules on labels and splits were skipped" in line(findings, "labels")


def test_labels_in_another_unit_than_all_meshes_are_one_error(corrupted, survey_of):
    """Labels in cm with meshes in mm are off every surface: one line on the whole dataset."""
    few(corrupted)
    for name in corrupted.rows:
        corrupted.label(name, corrupted.pair(name) / 10)
    corrupted.save()

    findings = check(survey_of(corrupted.folder))

    assert ("labels-frame", None) in found(findings)
    assert "different units or axes" in line(findings, "labels-frame")
    assert not any(rule == "off-surface" for rule, _ in found(findings))


def test_a_wrong_unit_of_all_is_a_warning(corrupted, survey_of):
    """Busts of nine metres are possible, so it is a warning; it names the unit that gives a usual size."""
    few(corrupted)
    (corrupted.folder / "dataset.json").write_text('{"unit": "inch", "landmark": "ear_tip"}')

    findings = check(survey_of(corrupted.folder))

    assert ("size", None) in found(findings)
    assert "may be mm (3" in line(findings, "size")


def test_labels_beside_the_middle_are_a_warning(corrupted, survey_of):
    """Two landmarks on one side of the object are not a pair."""
    few(corrupted)
    for name in corrupted.rows:
        left, _ = corrupted.pair(name)
        corrupted.label(name, [left, left * [0.3, 1, 1]])
    corrupted.save()

    assert ("middle", None) in found(check(survey_of(corrupted.folder)))


def test_a_split_without_objects_is_an_error(corrupted, survey_of):
    """Training needs all three; few objects are a warning."""
    few(corrupted)
    for i, row in enumerate(corrupted.rows.values()):
        row["split"] = "train" if i < 10 else "val"
    corrupted.save()

    findings = check(survey_of(corrupted.folder))

    splits = {f.severity: f.message for f in findings if f.rule == "split"}
    assert splits == {
        "error": "0 objects in test (of 12)",
        "warning": "few objects to judge by (train 10, val 2, test 0): error bars of 95 % need 32 in val and a 95th "
        "percentile needs 20 in test",
        "note": "12 objects in 12 groups: train 10, val 2, test 0",
    }


def test_few_objects_are_not_judged_by_each_other(corrupted, survey_of):
    """Three objects cannot show which is odd: a note says so, and exchanged sides are still found."""
    few(corrupted, 3)
    corrupted.move(body(0), np.eye(3) / 1000)
    corrupted.label(body(1), corrupted.pair(body(1))[::-1])
    corrupted.save()

    findings = check(survey_of(corrupted.folder))

    assert ("swapped", body(1)) in found(findings)
    assert not {"unit", "unlike", "turned", "misplaced"} & {finding.rule for finding in findings}
    assert "only 3 objects: none was compared" in line(findings, "spread")


def test_mirror_images_are_one_shape(corrupted, survey_of):
    """A mirrored copy is a near duplicate, not a new object."""
    few(corrupted, 16)
    mesh = corrupted.mesh(body(4))
    corrupted.write(body(9), mesh.vertices * [-1, 1, 1], mesh.faces[:, ::-1])
    corrupted.label(
        body(9), mirror_landmarks(corrupted.pair(body(4)), mirror_permutation(LandmarkSet.single_pair("ear")))
    )
    corrupted.save()

    findings = check(survey_of(corrupted.folder))

    assert {key for key in found(findings) if key[0] != "split"} == {("near-duplicate", body(9))}


def test_a_dataset_whose_every_row_is_bad_still_has_findings(corrupted, survey_of):
    """Nothing can be measured, and every row has a finding."""
    few(corrupted, 4)
    for row in corrupted.rows.values():
        row["left_x"] = "?"
    corrupted.save()

    findings = check(survey_of(corrupted.folder))

    assert {("table", body(i)) for i in range(4)} <= found(findings)


@pytest.mark.parametrize("count", [2, 8])
def test_landmarks_off_the_surface_are_named_one_by_one(corrupted, survey_of, count):
    """However many and however different they are, as long as some are right."""
    few(corrupted)
    wrong = [*corrupted.rows][:count]
    for i, name in enumerate(wrong):
        corrupted.label(name, corrupted.pair(name) + np.array([[30 + 20 * i, 0, 0], [0, 0, 0]]))
    corrupted.save()

    findings = check(survey_of(corrupted.folder))

    assert {name for rule, name in found(findings) if rule == "off-surface"} == set(wrong)
    assert "left is" in line(findings, "off-surface", wrong[0])


@pytest.mark.parametrize("sides", [[0], [1], [0, 1]])
def test_points_that_were_not_placed_are_named(corrupted, survey_of, sides):
    """0, 0, 0 is in the middle of a bust, and one finding is enough."""
    few(corrupted)
    name = body(3)
    pair = corrupted.pair(name)
    pair[sides] = 0
    corrupted.label(name, pair)
    corrupted.save()

    rules = {rule for rule, object_id in found(check(survey_of(corrupted.folder))) if object_id == name}

    assert "unplaced" in rules
    assert rules <= {"unplaced", "one-place"}


@pytest.mark.parametrize("place", [[3000, 0, 0], [0, -700, 0], [0, 900, 900]])
def test_a_part_far_away_is_named_and_explains_the_size(corrupted, survey_of, place):
    """Other rules on the size and place of the object are silent."""
    few(corrupted)
    _with_part(corrupted, body(7), place)

    findings = check(survey_of(corrupted.folder))

    assert {key for key in found(findings) if key[1] == body(7)} - {("frame", body(7))} == {("stray", body(7))}


def test_parts_that_are_near_are_no_strays(corrupted, survey_of):
    """Glasses on a head, or a second piece of a cut mesh, belong to the object."""
    few(corrupted)
    for i, place in enumerate(([0, 0, 250], [200, 0, 0])):
        _with_part(corrupted, body(i), place, 30.0)

    assert not {rule for rule, _ in found(check(survey_of(corrupted.folder)))} & {"stray"}


def test_landmarks_that_vary_by_steps_are_not_misplaced(clean_survey):
    """Two in five are 8 % of the size from the median, as on coarse meshes; one at 40 % is still named."""
    place = clean_survey.typical_landmarks
    shift = [0.08 * (i % 5 < 2) for i in range(len(clean_survey.measured))]
    shift[7] = 0.4
    rows = [
        replace(row, fit=replace(row.fit, landmarks=place + np.array([[0, s, 0.004 * (i % 3)], [0, s, 0]])))
        for i, (row, s) in enumerate(zip(clean_survey.measured, shift, strict=True))
    ]
    findings = check(replace(clean_survey, measured=rows))

    assert {name for rule, name in found(findings) if rule == "misplaced"} == {rows[7].object_id}


@pytest.fixture(scope="module")
def clean_set(clean, tmp_path_factory) -> Path:
    """The clean dataset with two pairs, two midline landmarks and one without a counterpart, not all labelled."""
    folder = Path(shutil.copytree(clean, tmp_path_factory.mktemp("set") / "clean"))
    landmarks = replace(LANDMARKS, outlines=(), definitions={}, unpaired=("crown",))
    points = {}
    for i in range(COUNT):
        mesh = make_body(i, resolution_mm=9, landmarks=LANDMARKS)
        crown = mesh.vertices_mm[mesh.vertices_mm[:, 1].argmax()]
        points[body(i)] = np.concatenate([mesh.landmarks_mm, crown[None]])
        (folder / "meshes" / f"{body(i)}.ply").write_bytes(ply(mesh.vertices_mm, mesh.faces))
    points[body(0)][4] = points[body(1)][1] = np.nan
    write_set(folder, landmarks, points, {body(0): [False] * 4 + [True, False, False]})
    return folder


def write_set(folder: Path, landmarks, points, absent=None) -> None:
    (folder / "dataset.json").write_bytes(settings_json({"unit": "mm", **set_values(landmarks)}))
    (folder / "landmarks.csv").write_bytes(write_landmarks(landmarks, points, absent))
    splits = {name: ("", ["train", "train", "val", "test"][i % 4]) for i, name in enumerate(points)}
    (folder / "objects.csv").write_bytes(write_objects(splits))


def set_of(folder: Path) -> tuple:
    """The set of a dataset, and its points by object."""
    dataset = open_dataset(str(folder))
    names = dataset.objects["object_id"].to_pylist()
    points = np.reshape(dataset.objects["landmarks"].to_pylist(), (len(names), -1, 3))
    return dataset.landmarks, dict(zip(names, points, strict=True))


def test_a_clean_set_has_no_errors_and_no_warnings(clean_set, survey_of):
    """What is not labelled is a note."""
    findings = check(survey_of(clean_set))

    assert found(findings) == set()
    assert "2 of 7 landmarks are not labelled on all objects: ear_tip_right, nose_tip" in line(findings, "partial")


def test_a_fault_of_a_set_names_its_landmark(clean_set, survey_of, tmp_path):
    """A pair or all pairs exchanged; a landmark misplaced, off the surface, unplaced, on another one; all absent."""
    folder = Path(shutil.copytree(clean_set, tmp_path / "set"))
    landmarks, points = set_of(folder)
    at = landmarks.index
    eyes = [at["eye_corner_left"], at["eye_corner_right"]]
    points[body(2)][eyes] = points[body(2)][eyes[::-1]]
    points[body(3)][at["chin"]] = points[body(3)][at["crown"]] + [0, -0.01, 0]
    points[body(4)][at["nose_tip"]] += [0, 0, 12.0]
    points[body(5)][at["crown"]] = 0
    points[body(6)][at["chin"]] = points[body(6)][at["nose_tip"]]
    points[body(7)][:] = np.nan
    points[body(8)][:4] = points[body(8)][[1, 0, 3, 2]]
    write_set(folder, landmarks, points, {body(7): [True] * 7})

    findings = check(survey_of(folder))
    expected = {
        ("unlabelled", body(7)): "none of its landmarks is labelled",
        ("swapped", body(8)): "as are 1 more of its pairs; swap left and right in its rows of landmarks.csv, or undo",
        ("swapped", body(2)): "eye_corner_left is at x = ",
        ("misplaced", body(3)): "check its chin: is it another point?",
        ("off-surface", body(4)): "nose_tip is 12 mm off the surface",
        ("unplaced", body(5)): "its crown is at 0, 0, 0",
        ("one-place", body(6)): "nose_tip and chin are 0 mm apart",
    }
    assert found(findings) == set(expected)
    assert all(words in line(findings, *key) for key, words in expected.items())


def test_a_landmark_that_no_object_has_is_an_error(clean_set, survey_of, tmp_path):
    """A landmark that is off the surface of all objects is one warning."""
    folder = Path(shutil.copytree(clean_set, tmp_path / "set"))
    landmarks, points = set_of(folder)
    for xyz in points.values():
        xyz[landmarks.index["chin"]] = np.nan
        xyz[landmarks.index["crown"], 1] += 15
    write_set(folder, landmarks, points)
    findings = check(survey_of(folder))

    assert found(findings) == {("rare", None), ("off-surface", None)}
    assert "chin is labelled on 0 of 44 objects" in line(findings, "rare")
    assert line(findings, "off-surface").startswith("warning [off-surface] crown is ")
