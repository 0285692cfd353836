"""The terminal shows what a command reports, and no line of another library."""

import re
import shutil

import pytest

PROGRESS = re.compile(r"(demo|render|pipeline|train-detector|vectorize|train-lifter|train-refiner|audit|evaluate)\b.*")
REPORT = "test objects: "


def split_at_report(lines: list[str]) -> tuple[list[str], list[str]]:
    """Return the lines before the report, and the report."""
    first = next(i for i, line in enumerate(lines) if line.startswith(REPORT))
    return lines[:first], lines[first:]


def test_pipeline_prints_its_steps_and_the_report(run_and_output):
    run, lines = run_and_output
    steps, report = split_at_report(lines)
    results = [line for line in steps if not PROGRESS.fullmatch(line)]

    assert [line.partition(":")[0] for line in results] == [
        f"{run}/{name}"
        for name in (
            *("renders/orthographic", "detector/orthographic", "vectors/orthographic.parquet"),
            *("lifter/orthographic", "refiner/orthographic"),
        )
    ]
    assert report[-2:] == [f"{run}/report/report.json", f"{run}/report/report.html"]


def test_predict_prints_its_progress_and_its_result(run, bodies, tmp_path, output_of):
    scans, out = tmp_path / "scans", tmp_path / "out"
    (scans / "meshes").mkdir(parents=True)
    shutil.copy(bodies / "dataset.json", scans)
    shutil.copy(bodies / "meshes" / "body-00003.ply", scans / "meshes")
    progress, result = output_of("predict", "--dataset", str(scans), "--run", str(run), "--out", str(out))

    assert re.fullmatch(r"predict: 1/1 objects, [01] not accepted, in \d+ s", progress)
    assert re.fullmatch(rf"{re.escape(str(out))}/predictions\.csv: 1 objects, [01] accepted", result)


@pytest.mark.slow  # two minutes: the whole chain in both projections
@pytest.mark.timeout(900)
def test_demo_prints_its_steps_and_the_report(tmp_path, output_of):
    run = tmp_path / "demo"
    *lines, hint = output_of("demo", "--run", str(run), "--objects", "30")
    steps, report = split_at_report(lines)

    assert [line for line in steps if not PROGRESS.fullmatch(line) and not line.startswith(f"{run}/")] == []
    assert report[-2:] == [f"{run}/report/report.json", f"{run}/report/report.html"]
    assert hint == f"serve the models with: featurelib serve --run {run}"
