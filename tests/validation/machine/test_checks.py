"""Each check finds what is there, and names a fix."""

import subprocess

import pytest

from featurelib.datasets.synthetic import write_dataset
from featurelib.errors import DataError
from featurelib.validation.machine.check import Check, run_code
from featurelib.validation.machine.files import check_dataset, check_run
from featurelib.validation.machine.renderers import check_backend, check_raster
from featurelib.validation.machine.system import (
    check_bytecode,
    check_disk,
    check_memory,
    check_packages,
    check_python,
    disk_folders,
)

GB = 2**30


@pytest.mark.parametrize(
    ("version", "status"), [((3, 10, 9), "broken"), ((3, 11, 0), "ok"), ((3, 13, 4), "ok"), ((3, 14, 0), "broken")]
)
def test_pythons_that_the_packages_exist_for(version, status):
    assert check_python(version).status == status


def test_packages_without_bytecode_are_slow_until_they_are_compiled(tmp_path):
    module = tmp_path / "package" / "__init__.py"
    module.parent.mkdir()
    module.write_text("")
    check = check_bytecode(module)
    assert (check.status, str(tmp_path) in check.message) == ("slow", True)

    subprocess.run(check.fix.split(), check=True)
    assert check_bytecode(module).status == "ok"


@pytest.mark.parametrize(("free_gb", "status"), [(1.0, "broken"), (4.0, "slow"), (64.0, "ok")])
def test_little_memory_is_slow_and_less_is_broken(free_gb, status):
    check = check_memory(int(free_gb * GB))

    assert (check.status, bool(check.fix)) == (status, status != "ok")


@pytest.mark.parametrize(("free_gb", "status"), [(0.5, "broken"), (4.0, "slow"), (64.0, "ok")])
def test_the_disk_is_the_one_of_the_run(tmp_path, free_gb, status):
    check = check_disk(str(tmp_path / "runs" / "new"), int(free_gb * GB))

    assert check.status == status
    assert str(tmp_path) in check.message


def test_this_machine_has_the_packages_and_draws():
    """The whole test suite needs both."""
    assert check_packages().status == "ok"
    assert check_raster().status in ("ok", "slow")
    assert "--backend auto uses" in check_backend().message


def test_a_missing_dataset_is_broken(tmp_path):
    write_dataset(tmp_path, 1)

    assert check_dataset(str(tmp_path)).message.startswith(f"{tmp_path}: 1 files in meshes/ in ")
    missing = check_dataset(str(tmp_path / "nowhere"))
    assert (missing.status, missing.fix) == ("broken", "--dataset must be the folder with dataset.json")


def test_a_run_is_written_and_left_as_it_was(tmp_path):
    """The probe and its lock are gone afterwards."""
    assert check_run(str(tmp_path)).status == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_cannot_be_written_is_broken(tmp_path):
    (tmp_path / "file").write_text("")

    assert check_run(str(tmp_path / "file" / "run")).status == "broken"


def test_the_fix_of_a_store_out_of_reach_names_the_settings(monkeypatch):
    """Nothing answers on that port."""
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    from featurelib.runtime import s3

    s3.client.cache_clear()
    check = check_dataset("s3://bucket/heads")
    s3.client.cache_clear()

    assert check.status == "broken"
    assert "AWS_ENDPOINT_URL (http://127.0.0.1:9)" in check.fix


def test_a_crash_in_a_check_is_its_last_line():
    with pytest.raises(DataError, match="ValueError: no driver"):
        run_code("raise ValueError('no driver')")
    with pytest.raises(DataError, match="ended with code -11"):
        run_code("import os; os.kill(os.getpid(), 11)")
    with pytest.raises(DataError, match=r"no answer in 0\.5 s"):
        run_code("import time; time.sleep(9)", seconds=0.5)


def test_a_check_is_one_line_that_ends_with_the_fix():
    check = Check("GL context", "broken", "no\ndriver", "install one", is_needed=False)

    assert str(check) == "broken  GL context        no driver; install one (not needed)"


def test_disks_of_local_folders_are_checked():
    assert disk_folders(["s3://b/run", "/runs"]) == ["/runs"]
