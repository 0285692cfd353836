import numpy as np
import pyarrow as pa

from featurelib.datasets.dataset import open_dataset
from featurelib.models.predictions import PREDICTIONS
from jobs.experiments.drivers.holdout import errors_mm
from jobs.experiments.holdout import HoldoutConfig, holdout


def test_errors_are_millimetres_in_any_unit(bodies):
    """An error of a known length in the source's unit has that length in mm; a missing prediction is NaN."""
    dataset = open_dataset(str(bodies))
    rows = []
    for row in dataset.objects.to_pylist()[:2]:
        left, right = np.add(row["left"], (0.1, 0, 0)), [None] * 3
        values = dict(zip(("left_x", "left_y", "left_z"), left, strict=True))
        values |= dict(zip(("right_x", "right_y", "right_z"), right, strict=True))
        sure = {"left_sigma_mm": 1.0, "right_sigma_mm": None, "accepted": True, "reason": ""}
        rows.append({"object_id": row["object_id"], **values, **sure})
    found = errors_mm(dataset, pa.Table.from_pylist(rows, schema=PREDICTIONS))

    assert np.allclose(found[:, 0], 0.1 * 25.4 * dataset.alignment.scale)
    assert np.isnan(found[:, 1]).all()


def test_unseen_objects_are_predicted_and_compared(cluster, run, bodies, tmp_path, capsys):
    """All objects are counted, and accepted and rejected ones add up."""
    holdout(HoldoutConfig(dataset=str(bodies), run=str(run), out=str(tmp_path)))

    lines = capsys.readouterr().out.splitlines()
    counts = {line.split()[0]: int(line.split()[1]) for line in lines if line.startswith(("all", "acc", "rej"))}
    assert counts["all"] == counts["accepted"] + counts["rejected"] == 14
    assert any(line.startswith("within 1.87 sigma, 68 % of a Gaussian") for line in lines) == (counts["accepted"] > 0)
