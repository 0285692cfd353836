"""The command on real datasets: what it lists, what it writes, and what it never names."""

import json
import shutil
from pathlib import Path

import pytest

from featurelib.__main__ import make_app
from featurelib.labelling.queue import Queue, read_queue
from featurelib.runtime import cli

LABELLED = 4


@pytest.fixture
def dataset(bodies, tmp_path) -> Path:
    """A copy of the bodies of which only the first four are labelled: two for validation, two for the test."""
    copy = Path(shutil.copytree(bodies, tmp_path / "bodies"))
    rows = (copy / "landmarks.csv").read_text().splitlines()
    (copy / "landmarks.csv").write_text("\n".join([*rows[: 1 + LABELLED], ""]))
    return copy


def suggested(capsys, *flags) -> tuple[int, str, str]:
    """Run the command; return its exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as ended:
        cli.run(make_app(), ["suggest", *map(str, flags)])
    return (ended.value.code, *capsys.readouterr())


def test_objects_are_suggested_by_their_shapes(cluster, dataset, tmp_path, capsys):
    """The table, the page and the queue have the same objects; a second run writes the same, except for the time."""
    (dataset / "meshes/body-00007.ply").write_bytes(b"ply")
    flags = ["--dataset", dataset, "--count", "3", "--out", tmp_path / "out"]

    code, text, stderr = suggested(capsys, *flags)
    first = (tmp_path / "out/queue.json").read_bytes()
    again, values, _ = suggested(capsys, *flags, "--json")

    queue, found = read_queue(str(tmp_path / "out")), json.loads(values)
    assert (code, again) == (0, 0)
    assert (tmp_path / "out/queue.json").read_bytes() == first
    assert len(queue.label) == 3
    assert not {row.object_id for row in queue.label} & {"body-00007", *(f"body-0000{i}" for i in range(LABELLED))}
    assert [line.split()[:3] for line in text.splitlines()[:3]] == [
        ["label", str(i), row.object_id] for i, row in enumerate(queue.label, 1)
    ]
    assert text.splitlines()[3] == (
        f"{dataset}: 3 of 10 objects without labels suggested by shapes ({LABELLED} labelled)"
    )
    assert [(one["object_id"], one["reason"]) for one in found["label"]] == [
        (row.object_id, row.reason) for row in queue.label
    ]
    assert "body-00007 is left out: meshes/body-00007.ply" in stderr
    assert (tmp_path / "out/suggest.html").read_text().count("data:image/png;base64,") == 3 * 3
    assert json.loads((tmp_path / "out/suggest.json").read_text()) == found


def test_a_labelled_dataset_needs_nothing(cluster, bodies, tmp_path, capsys):
    """An earlier queue is replaced by an empty one."""
    code, text, _ = suggested(capsys, "--dataset", bodies, "--out", tmp_path)

    assert (code, read_queue(str(tmp_path))) == (0, Queue())
    assert text == f"{bodies}: 0 of 0 objects without labels suggested by shapes (14 labelled)\n"


def test_a_review_names_labels_with_exchanged_sides(cluster, bodies, tmp_path, capsys):
    """Of the object whose left and right were written into each other's columns; no label of the others is named."""
    wrong = Path(shutil.copytree(bodies, tmp_path / "bodies"))
    header, *rows = (wrong / "landmarks.csv").read_text().splitlines()
    name, *cells = rows[5].split(",")
    rows[5] = ",".join([name, *cells[3:6], *cells[:3], *cells[6:]])
    (wrong / "landmarks.csv").write_text("\n".join([header, *rows]))

    code, text, _ = suggested(capsys, "--dataset", wrong, "--out", tmp_path / "out", "--review")
    review = read_queue(str(tmp_path / "out")).review

    assert code == 0
    assert {(row.object_id, row.kind) for row in review} == {("body-00005", "sides swapped")}
    assert "body-00005" in text


def test_a_run_suggests_by_its_errors_and_never_for_its_test(run, bodies, tmp_path, capsys):
    """New meshes are predicted; one that belongs to the family of a test object is not named. The run has the queue."""
    more = Path(shutil.copytree(bodies, tmp_path / "bodies"))
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    for i, name in enumerate(("new-a", "new-b", "new-test")):
        shutil.copy(more / f"meshes/body-0000{i + 4}.ply", more / f"meshes/{name}.ply")
    (more / "objects.csv").write_text("object_id,group\nnew-test,body-00002\n")

    code, text, _ = suggested(capsys, "--dataset", more, "--run", copy)

    queue = read_queue(str(copy / "suggest"))
    found = json.loads((copy / "suggest/suggest.json").read_text())
    assert code == 0
    assert {row.object_id for row in queue.label} == {"new-a", "new-b"}
    assert all(one["sigma_mm"] > 0 and "standard deviation" in one["reason"] for one in found["label"])
    assert text.splitlines()[-1] == (
        f"{more}: 2 of 2 objects without labels suggested by expected errors "
        "(14 labelled, left out for the test split: 1)"
    )
    assert (copy / "suggest/predictions/manifest.json").exists()


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (["--dataset", "nowhere"], "nowhere/dataset.json"),
        (["--dataset", "nowhere", "--count", "0"], "--count 0: expected at least 1"),
        ([], "--dataset"),
    ],
)
def test_bad_usage_is_one_line_and_code_2(capsys, tmp_path, monkeypatch, flags, names):
    """Nothing is computed and nothing is written."""
    monkeypatch.chdir(tmp_path)

    code, text, stderr = suggested(capsys, *flags)

    assert (code, text) == (2, "")
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    assert names in stderr
    assert not [*tmp_path.iterdir()]
