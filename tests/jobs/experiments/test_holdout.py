import numpy as np

from featurelib.datasets.dataset import open_dataset
from featurelib.models.predictions import PredictedObjects
from jobs.experiments.drivers.holdout import errors_mm, print_outcome
from jobs.experiments.holdout import HoldoutConfig, holdout


def test_errors_are_millimetres_in_any_unit(bodies):
    """An error of a known length in the source's unit has that length in mm; a missing prediction is NaN."""
    dataset = open_dataset(str(bodies))
    rows = dataset.objects.to_pylist()[:2]
    points = np.add([np.reshape(row["landmarks"], (2, 3)) for row in rows], (0.1, 0, 0))
    points[:, 1] = np.nan
    flags = np.ones((2, 2), bool)
    ids = [row["object_id"] for row in rows]

    found = errors_mm(dataset, PredictedObjects(ids, points, np.ones((2, 2)), flags, np.full((2, 2), "", object)))

    assert np.allclose(found[:, 0], 0.1 * 25.4 * dataset.alignment.scale)
    assert np.isnan(found[:, 1]).all()


def test_landmarks_are_counted_by_themselves(capsys):
    """An object is accepted if all its landmarks are; errors are those of the group's landmarks."""
    errors = np.array([[0.1, 0.2, 9.0], [0.3, np.nan, 0.5]])
    accepted = np.array([[True, True, False], [True, True, True]])
    found = PredictedObjects(["a", "b"], np.zeros((2, 3, 3)), np.ones((2, 3)), accepted, np.full((2, 3), "", object))

    print_outcome(found, errors, 1.0)

    lines = {line.split()[0]: line.split()[1:6] for line in capsys.readouterr().out.splitlines()[3:]}
    assert lines["all"][:2] == ["2", "6"]
    assert lines["accepted"][:4] == ["1", "5", "0.275", "0.250"]
    assert lines["rejected"][:4] == ["1", "1", "9.000", "9.000"]


def test_unseen_objects_are_predicted_and_compared(cluster, run, bodies, tmp_path, capsys):
    """All objects are counted, and accepted and rejected ones add up."""
    holdout(HoldoutConfig(dataset=str(bodies), run=str(run), out=str(tmp_path)))

    lines = capsys.readouterr().out.splitlines()
    counts = {line.split()[0]: int(line.split()[1]) for line in lines if line.startswith(("all", "acc", "rej"))}
    assert counts["all"] == counts["accepted"] + counts["rejected"] == 14
    assert any(line.startswith("within 1.87 sigma, 68 % of a Gaussian") for line in lines) == (counts["accepted"] > 0)
