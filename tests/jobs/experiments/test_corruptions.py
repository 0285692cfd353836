import re

from featurelib.evaluation.corruptions import KINDS
from jobs.experiments.corruptions import CorruptionsConfig, corruptions


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
