"""A training that loses a worker or its driver gives the same result."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from featurelib.datasets.synthetic import EAR_TIPS
from featurelib.errors import DataError, UsageError
from jobs.train_detector import TrainDetectorConfig, train_detector

pytestmark = pytest.mark.slow

EPOCHS = 6
FLAGS = {
    "head": "regression",
    "weights": "none",
    "alpha": 0.35,
    "input_size": 32,
    "batch_size": 16,
    "epochs": EPOCHS,
    "finetune_learning_rate": 1e-3,
}
FIGURES = ("loss", "val_loss", "error_pct", "val_error_pct")


@pytest.fixture
def renders(run, tmp_path):
    """A run with the small run's images only."""
    shutil.copytree(run / "renders", tmp_path / "renders")
    return tmp_path


@pytest.fixture
def undisturbed(run, workers, tmp_path_factory):
    """The metrics of an uninterrupted training on as many workers."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(run / "renders", folder / "renders")
    train_detector(TrainDetectorConfig(run=str(folder), workers=workers, **FLAGS))
    return curve(folder)


def curve(folder) -> list[dict[str, str]]:
    """The rows of metrics.csv."""
    return list(csv.DictReader((folder / "detector/orthographic/metrics.csv").read_text().splitlines()))


def figures(rows) -> np.ndarray:
    return np.array([[float(row[name]) for name in FIGURES] for row in rows])


def wait_for_epochs(folder, count: int) -> None:
    """Wait until `count` epochs have ended."""
    path = folder / "detector/orthographic/metrics.csv"
    while not path.exists() or len(curve(folder)) < count:
        time.sleep(0.02)


@pytest.mark.parametrize(("workers", "title"), [(1, "fit_alone"), (2, "RayTrainWorker")])
def test_a_killed_worker_costs_no_more_than_an_epoch(
    cluster, ray_workers, renders, undisturbed, capsys, workers, title
):
    """A worker is killed in epoch 3 of 6: there are six epochs with the same metrics, and a message."""
    killed = []

    def kill():
        wait_for_epochs(renders, 2)
        killed.extend(ray_workers(title))
        os.kill(killed[0].pid, signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    train_detector(TrainDetectorConfig(run=str(renders), workers=workers, **FLAGS))

    messages = capsys.readouterr().err
    assert len(killed) == workers
    assert "resumes after epoch" in messages
    assert "failed" in messages
    assert [int(row["epoch"]) for row in curve(renders)] == list(range(EPOCHS))
    np.testing.assert_allclose(figures(curve(renders)), figures(undisturbed), rtol=1e-4)
    assert not (renders / "detector/orthographic/checkpoint.npz").exists()


def test_after_a_killed_driver_the_same_command_resumes(cluster, renders, capsys):
    """The driver is killed: the same command resumes, and a third run has nothing to do.

    tests/models/detector/test_network.py tests that a resumed training equals an uninterrupted one.
    """
    config = TrainDetectorConfig(run=str(renders), **FLAGS)
    flags = [part for name, value in FLAGS.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "jobs.train_detector", "--run", str(renders), *flags]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    wait_for_epochs(renders, 2)
    driver.kill()
    driver.wait()
    done = figures(curve(renders))

    train_detector(config)
    assert "resumes after epoch" in capsys.readouterr().err
    assert len(curve(renders)) == EPOCHS
    assert np.array_equal(figures(curve(renders))[: len(done)], done)

    train_detector(config)
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"workers": 3}, "--batch-size 16: expected a multiple of --workers 3"),
        ({"workers": 0}, "--workers 0: expected at least 1"),
        ({"batch_size": 4096}, "--batch-size 4096: expected at most the"),
    ],
)
def test_impossible_settings_are_rejected(renders, flags, words):
    """The message names the flag, and nothing starts."""
    with pytest.raises(UsageError, match=words):
        train_detector(TrainDetectorConfig(run=str(renders), **(FLAGS | flags)))


def test_weights_of_another_alpha_are_rejected(cluster, renders, tmp_path):
    """A worker's error about the user's file ends the command with that message, without a restart."""
    from featurelib.models.detector.network import build_detector

    backbone = build_detector(EAR_TIPS, head="regression", alpha=0.5, input_size=32, weights="none").get_layer(
        "backbone"
    )
    arrays = {variable.path.removeprefix("backbone/"): variable.numpy() for variable in backbone.weights}
    np.savez(tmp_path / "w.npz", **arrays)

    with pytest.raises(DataError, match=r"w.npz: no array .* of shape .*; another alpha\?"):
        train_detector(TrainDetectorConfig(run=str(renders), **(FLAGS | {"weights": str(tmp_path / "w.npz")})))
