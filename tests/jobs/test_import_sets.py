"""A folder of meshes and files with many points becomes a dataset with a landmark set, and is exported again."""

import csv
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import trimesh

from featurelib.datasets.dataset import open_dataset
from featurelib.datasets.dataset_json import read_settings, set_values
from featurelib.datasets.landmark_files.formats import read_points, write_points
from featurelib.errors import DataError, UsageError
from featurelib.geometry import LandmarkSet
from featurelib.runtime.console import OutputOptions, set_output_options
from jobs.export_landmarks import ExportConfig, export_landmarks
from jobs.import_dataset import ImportConfig, import_dataset

NUM_OBJECTS, NUM_PAIRS = 5, 8
SET = LandmarkSet(
    tuple((f"p{k}", f"q{k}") for k in range(NUM_PAIRS)), ("n0", "n1", "n2"), ("u",), outlines=(("p0", "n0", "q0"),)
)
NAMED = LandmarkSet((("ear_left", "ear_right"), ("eye L", "eye R")), (), ("nose",))


def balls(folder: Path, landmarks: LandmarkSet = SET, noise: float = 0.01) -> dict[str, list]:
    """Write balls of radius 50 and return their points in the set's order: pairs, midline and others on the surface."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    left = rng.normal(size=(len(landmarks.pairs), 3))
    left[:, 0] = np.abs(left[:, 0]) + 0.3
    points = np.stack([left, left * (-1, 1, 1)], axis=1).reshape(-1, 3)
    middle = rng.normal(size=(len(landmarks.midline), 3)) * (0, 1, 1)
    points = np.concatenate([points, middle, rng.normal(size=(len(landmarks.unpaired), 3))])
    found = {}
    for k in range(NUM_OBJECTS):
        trimesh.creation.icosphere(3, 50.0).export(folder / f"P{k}.ply")
        moved = points + noise * rng.normal(size=points.shape)
        found[f"P{k}"] = [*map(tuple, (50 * moved / np.linalg.norm(moved, axis=1, keepdims=True)).tolist())]
    return found


def written(folder: Path, objects: dict, kind: str, landmarks: LandmarkSet = SET, **more) -> str:
    folder.mkdir(exist_ok=True)
    for name, content in write_points(landmarks, objects, kind, **more).items():
        (folder / name).write_bytes(content)
    return str(folder)


def run(tmp_path: Path, capsys, **changes) -> dict:
    """Import, and return the result as JSON values."""
    set_output_options(OutputOptions(json=True))
    values = {"meshes": str(tmp_path / "scans"), "unit": "mm", "out": str(tmp_path / "dataset")}
    import_dataset(ImportConfig(**{**values, **changes}))
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def labels(tmp_path: Path) -> dict[str, list]:
    """The positions of the dataset by object, None where not labelled."""
    rows = open_dataset(str(tmp_path / "dataset")).objects.to_pylist()
    return {
        row["object_id"]: [
            None if np.isnan(xyz).any() else tuple(xyz) for xyz in np.reshape(row["landmarks"], (-1, 3)).tolist()
        ]
        for row in rows
    }


@pytest.mark.parametrize("kind", ["slicer", "fcsv", "meshlab", "json", "csv", "wide", "tps", "nts", "morphologika"])
def test_points_come_in_and_go_out_in_all_formats(tmp_path, capsys, kind):
    """Missing points are not labelled; the export of the dataset has the same bytes as the import."""
    objects = balls(tmp_path / "scans")
    objects["P1"][3] = None
    (tmp_path / "set.json").write_text(json.dumps(set_values(SET)))
    marks = written(tmp_path / "marks", objects, kind)
    values = run(tmp_path, capsys, landmarks=marks, pairs=str(tmp_path / "set.json"))

    assert labels(tmp_path) == objects
    assert open_dataset(str(tmp_path / "dataset")).landmarks == SET
    assert values["points"]["q1"] == NUM_OBJECTS - 1
    export_landmarks(ExportConfig(dataset=str(tmp_path / "dataset"), out=str(tmp_path / "again"), format=kind))
    for path in Path(marks).iterdir():
        again = (tmp_path / "again" / path.name).read_bytes()
        assert again == path.read_bytes() or kind == "csv"
    if kind == "csv":
        assert sorted(again.splitlines()) == sorted((Path(marks) / "landmarks.csv").read_bytes().splitlines())


def test_names_tell_the_pairs(tmp_path, capsys):
    """By default; what names do not tell is unpaired, and said."""
    objects = balls(tmp_path / "scans", NAMED)
    values = run(tmp_path, capsys, landmarks=written(tmp_path / "marks", objects, "slicer", NAMED))

    settings = read_settings(str(tmp_path / "dataset/dataset.json"))
    assert (settings.landmarks, settings.landmarks.mirror) == (NAMED, "swap")
    assert labels(tmp_path) == objects
    assert any("unpaired, as their names tell no pair: nose; --pairs infer" in note for note in values["notes"])


@pytest.mark.parametrize(("front", "is_known"), [("+z", True), (None, False)])
def test_pairs_are_inferred_and_drawn(tmp_path, capsys, front, is_known):
    """Numbered points suffice; without axes, left is a guess that is said."""
    objects = balls(tmp_path / "scans")
    numbered = {name: str(k) for k, name in enumerate(SET.names, 1)}
    marks = written(tmp_path / "marks", objects, "tps")
    path = Path(marks) / "landmarks.tps"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "COMMENT" not in line))
    values = run(tmp_path, capsys, landmarks=marks, pairs="infer", front=front, up=front and "+y")

    found = open_dataset(str(tmp_path / "dataset")).landmarks
    assert set(found.pairs) == {(numbered[a], numbered[b]) for a, b in SET.pairs}
    assert set(found.midline) == {numbered[name] for name in SET.midline}
    assert found.unpaired == (numbered["u"],)
    assert any("was taken for left" in doubt for doubt in values["doubts"]) != is_known
    assert f"  left {numbered['p0']}, right {numbered['q0']}: " in "\n".join(values["pairs"])
    page = (tmp_path / "dataset/pairs.html").read_text()
    assert page.count('<circle class="dot left"') == 2 * NUM_PAIRS
    assert ("Left was guessed" in page) != is_known


def test_points_without_symmetry_are_unpaired(tmp_path, capsys):
    objects = balls(tmp_path / "scans")
    lefts = LandmarkSet((), (), tuple(a for a, _ in SET.pairs), "none")
    one_side = {i: points[: 2 * NUM_PAIRS : 2] for i, points in objects.items()}
    values = run(tmp_path, capsys, landmarks=written(tmp_path / "m", one_side, "json", lefts), pairs="infer")

    assert open_dataset(str(tmp_path / "dataset")).landmarks == lefts
    assert "the mean shape has no mirror symmetry" in values["doubts"][0]


def test_no_pairs_on_request(tmp_path, capsys):
    objects = balls(tmp_path / "scans", NAMED)
    run(tmp_path, capsys, landmarks=written(tmp_path / "m", objects, "wide", NAMED), pairs="none")

    found = open_dataset(str(tmp_path / "dataset")).landmarks
    assert (found.names, found.unpaired, found.mirror) == (NAMED.names, NAMED.names, "none")


def test_absent_landmarks_and_groups_stay(tmp_path, capsys):
    """In landmarks.csv and objects.csv; the export tells them again."""
    objects = balls(tmp_path / "scans", NAMED)
    objects["P0"][2] = objects["P1"][4] = None
    marks = written(tmp_path / "marks", objects, "csv", NAMED, absent={"P0": {"eye L"}})
    run(tmp_path, capsys, landmarks=marks)
    rows = [*csv.DictReader((tmp_path / "dataset/landmarks.csv").open())]

    assert [(row["object_id"], row["landmark"]) for row in rows if row["status"] == "absent"] == [("P0", "eye L")]
    export_landmarks(ExportConfig(dataset=str(tmp_path / "dataset"), out=str(tmp_path / "again"), format="slicer"))
    ((_, again),) = read_points("P0.mrk.json", (tmp_path / "again/P0.mrk.json").read_bytes()).objects
    assert again.absent == {"eye L"}

    text = "object_id,nose_x,nose_y,nose_z,group,split\n" + "".join(f"P{k},0,0,50,g{k % 2},\n" for k in range(5))
    (tmp_path / "wide.csv").write_text(text)
    run(tmp_path, capsys, landmarks=str(tmp_path / "wide.csv"), meshes=None, unit=None)
    assert open_dataset(str(tmp_path / "dataset")).objects["group"].to_pylist() == ["g0", "g1", "g0", "g1", "g0"]


def test_a_known_set_stays(tmp_path, capsys):
    """Later files add to it by name; other points are noted, and files without any point of it are refused."""
    objects = balls(tmp_path / "scans", NAMED)
    run(tmp_path, capsys, landmarks=written(tmp_path / "marks", objects, "json", NAMED))
    before = labels(tmp_path)
    (tmp_path / "more.json").write_text(json.dumps({"P3": {"nose": objects["P4"][4], "chin": [0, 0, 50]}}))
    values = run(tmp_path, capsys, meshes=None, unit=None, landmarks=str(tmp_path / "more.json"))

    assert any("not in the set, so not imported: chin" in note for note in values["notes"])
    assert open_dataset(str(tmp_path / "dataset")).landmarks == NAMED
    assert labels(tmp_path)["P2"] == before["P2"]
    assert labels(tmp_path)["P3"] == [*before["P3"][:4], objects["P4"][4]]
    (tmp_path / "other.json").write_text(json.dumps({"P3": {"chin": [0, 0, 50]}}))
    with pytest.raises(DataError, match="none of the points chin is in the set: ear_left, "):
        run(tmp_path, capsys, meshes=None, unit=None, landmarks=str(tmp_path / "other.json"))


def test_a_point_off_its_mesh_is_left_out_alone(tmp_path, capsys):
    """The others of its object come in; a point that is only far is named."""
    objects = balls(tmp_path / "scans", NAMED)
    objects["P0"][0], objects["P1"][1], objects["P2"][4] = (0.0, 0.0, 0.0), (900.0, 0.0, 0.0), (0.0, 0.0, 70.0)
    values = run(tmp_path, capsys, landmarks=written(tmp_path / "marks", objects, "json", NAMED))

    found = labels(tmp_path)
    assert (found["P0"][0], found["P1"][1]) == (None, None)
    assert found["P0"][1:] == objects["P0"][1:]
    assert "P0: ear_left at 0, 0, 0, off the mesh: not placed" in values["left_out"][0]["message"]
    assert "P1: ear_right is 850 mm off the mesh" in values["left_out"][1]["message"]
    assert values["off_mesh"] == {"P2": "nose is 20 mm off the mesh, 12 % of its size"}


def test_the_last_line_counts_and_rare_landmarks_are_named(tmp_path, caplog, capsys):
    objects = balls(tmp_path / "scans", NAMED)
    for k in range(1, NUM_OBJECTS):
        objects[f"P{k}"][4] = None
    for k in range(NUM_OBJECTS, 12):
        (tmp_path / f"scans/P{k}.ply").write_bytes((tmp_path / "scans/P0.ply").read_bytes())
        objects[f"P{k}"] = [*objects["P0"][:4], None]
    with caplog.at_level(logging.INFO):
        import_dataset(
            ImportConfig(
                meshes=str(tmp_path / "scans"),
                unit="mm",
                out=str(tmp_path / "dataset"),
                landmarks=written(tmp_path / "marks", objects, "json", NAMED),
            )
        )

    assert "12 meshes, 12 with landmarks, 2 pairs, 1 unpaired, 1 to 12 objects per landmark" in capsys.readouterr().out
    assert "few objects have: nose (1); check how these landmarks are named" in caplog.text


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"pairs": "guess"}, UsageError, "--pairs guess: expected names, infer, none or a JSON file"),
        ({"pairs": "infer", "landmark": "ear"}, UsageError, "--pairs: --landmark ear is one pair; omit one of these"),
        ({"left": ("ear_left",)}, UsageError, "--left, --right: they name the points of one pair; give its name"),
        ({"landmarks": None}, UsageError, "no such file; give --landmark, as in"),
        ({"landmarks": None, "pairs": "infer"}, UsageError, "--pairs infer: no points; name their files"),
        ({"pairs": "marks/landmarks.json"}, DataError, "expected landmarks as in dataset.json"),
        ({"pairs": "nowhere.json"}, DataError, "nowhere.json"),
    ],
)
def test_wrong_use_is_an_error_before_dataset_json_is_written(tmp_path, capsys, monkeypatch, changes, error, message):
    monkeypatch.chdir(tmp_path)
    marks = written(tmp_path / "marks", balls(tmp_path / "scans", NAMED), "json", NAMED)
    with pytest.raises(error, match=message):
        run(tmp_path, capsys, **{"landmarks": marks, **changes})

    assert not (tmp_path / "dataset/dataset.json").exists()


def test_a_set_is_no_single_pair(tmp_path, capsys):
    """--landmark does not turn a set into a pair, nor --pairs a pair into a set."""
    marks = written(tmp_path / "marks", balls(tmp_path / "scans", NAMED), "json", NAMED)
    run(tmp_path, capsys, landmarks=marks)
    with pytest.raises(UsageError, match=r"--landmark ear: .*dataset\.json has a set of landmarks; omit the flag"):
        run(tmp_path, capsys, landmarks=marks, landmark="ear")
    run(tmp_path, capsys, landmarks=marks, landmark="ear", out=str(tmp_path / "pair"))
    assert read_settings(str(tmp_path / "pair/dataset.json")).landmarks == LandmarkSet.single_pair("ear")
    with pytest.raises(UsageError, match="--pairs: --landmark ear is one pair"):
        run(tmp_path, capsys, landmarks=marks, pairs="names", out=str(tmp_path / "pair"))
