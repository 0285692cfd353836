"""The command on a real dataset: flags, output and exit codes."""

import json
import os
import shutil
from pathlib import Path

import pytest
import ray

from featurelib.__main__ import make_app
from featurelib.runtime import cli
from featurelib.runtime.sandbox import ProcessLostError, SandboxLimits
from jobs.workers.sandbox import work_sandboxed


@pytest.fixture
def dataset(bodies, tmp_path):
    """A copy of the bodies (in inches and rotated axes) that a test may corrupt."""
    return Path(shutil.copytree(bodies, tmp_path / "bodies"))


def validated(capsys, *flags) -> tuple[int, str, str]:
    """Run the command; return its exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as ended:
        cli.run(make_app(), ["validate", *map(str, flags)])
    return (ended.value.code, *capsys.readouterr())


def test_a_good_dataset_ends_well(cluster, dataset, tmp_path, capsys):
    """Code 0, no error, and a sheet with every object; small splits are one warning, and all are counted."""
    out = tmp_path / "out"

    code, text, stderr = validated(capsys, "--dataset", dataset, "--out", out)

    lines = text.splitlines()
    assert code == 0
    assert [line.partition("]")[0] for line in lines[:-1]] == [
        "warning [split",
        "note [size",
        "note [frame",
        "note [split",
    ]
    assert lines[-1] == f"{dataset}: 14 objects checked: 0 errors, 1 warning, 3 notes"
    assert f"contact sheet in {out}/sheet.html" in stderr
    assert sorted(file.name for file in out.iterdir()) == ["config.json", "findings.json", "sheet.html"]
    assert (out / "sheet.html").read_text().count("data:image/png;base64,") == 3 * 14
    assert json.loads((out / "findings.json").read_text())["counts"]["error"] == 0


def test_errors_are_named_and_end_with_code_1(cluster, dataset, tmp_path, capsys):
    """Each planted fault is one line, the same as in JSON."""
    (dataset / "meshes/body-00003.ply").write_bytes(b"ply")
    table = dataset / "landmarks.csv"
    lines = table.read_text().splitlines()
    name, left, right, split = lines[6].split(",")[0], *_halves(lines[6])
    lines[6] = ",".join([name, *right, *left, split])
    table.write_text("\n".join(lines) + "\n")

    code, text, _ = validated(capsys, "--dataset", dataset)
    json_code, values, _ = validated(capsys, "--dataset", dataset, "--json")

    found = json.loads(values)["findings"]
    errors = {(finding["rule"], finding["object_id"]) for finding in found if finding["severity"] == "error"}
    assert (code, json_code) == (1, 1)
    assert errors == {("mesh-file", "body-00003"), ("swapped", name)}
    assert len(text.splitlines()) == len(found) + 1
    assert text.startswith("error [mesh-file] body-00003: meshes/body-00003.ply")


def _halves(row: str) -> tuple[list[str], list[str], str]:
    values = row.split(",")
    return values[1:4], values[4:7], values[7]


def test_an_object_that_ends_its_process_costs_itself_alone(cluster):
    """A lost process is a result like any other, and the next object gets a new process."""
    lost, found = (
        ray.get(work_sandboxed.remote(SandboxLimits(), work, [item])) for work, item in ((os._exit, 3), (abs, -3))
    )

    assert isinstance(lost[0], ProcessLostError)
    assert "its process ended with code 3" in str(lost[0])
    assert found == [3]


def test_without_labels_a_note_names_the_skipped_rules(cluster, dataset, capsys):
    """A dataset for predictions needs no labels."""
    (dataset / "landmarks.csv").unlink()

    code, text, _ = validated(capsys, "--dataset", dataset)

    assert code == 0
    assert "note [labels] no landmarks.csv: the rules on labels and splits were skipped" in text


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (["--dataset", "nowhere"], "nowhere/dataset.json"),
        ([], "--dataset"),
    ],
)
def test_bad_usage_is_one_line_and_code_2(capsys, tmp_path, monkeypatch, flags, names):
    """A folder that is not a dataset is an error of usage, not a finding."""
    monkeypatch.chdir(tmp_path)

    code, text, stderr = validated(capsys, *flags)

    assert (code, text) == (2, "")
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    assert names in stderr
