import re

import numpy as np

from featurelib.evaluation.corruptions import kinds
from featurelib.geometry import LandmarkSet
from jobs.experiments.corruptions import CorruptionsConfig, corruptions
from jobs.experiments.drivers.corruptions import Outcome

KINDS = kinds(LandmarkSet.single_pair("ear"))


def test_every_corrupted_object_is_counted(cluster, run, capsys):
    """Each is rejected, right, or accepted and wrong; the table names its corruption and its object."""
    corruptions(CorruptionsConfig(run=str(run), each=1))

    text = capsys.readouterr().out
    line = r"^(\d+) corrupted objects: (\d+) rejected, (\d+) accepted and right .*, (\d+) accepted and wrong$"
    counts = re.search(line, text, re.MULTILINE)
    objects, *outcomes = map(int, counts.groups())
    assert objects == sum(outcomes) == len(KINDS)
    for kind in KINDS:
        assert re.search(rf"^{kind} +body-0000[0-9] ", text, re.MULTILINE)
    assert re.search(r"^twice as large .* load: .*needs a frame of", text, re.MULTILINE)


def test_an_accepted_landmark_with_a_large_error_is_wrong():
    """One that is rejected is not, nor one without a known error."""
    errors_mm = np.array([5.0, 0.1, np.nan])

    assert Outcome("rotated", "a", errors_mm, ["", "odd", ""]).is_wrong(3)
    assert not Outcome("rotated", "a", errors_mm, ["odd", "", ""]).is_wrong(3)
    assert Outcome("rotated", "a", errors_mm, ["", "odd", ""]).reason == "odd"
