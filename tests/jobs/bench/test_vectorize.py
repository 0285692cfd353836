import re

import pytest

from jobs.bench.drivers.vectorize import Rates
from jobs.bench.vectorize import BenchVectorizeConfig, bench_vectorize


def test_bench_vectorize_compares_the_job_with_its_parts(cluster, run, capsys):
    """One table has the forward pass by batch size, decoding and the whole job; their ratio follows."""
    bench_vectorize(BenchVectorizeConfig(run=str(run), batch_sizes=(8,), seconds=0.2, repeats=1))

    text = capsys.readouterr().out
    rows = dict(re.findall(r"^(forward pass, batch 8|decoding|whole job) +([0-9.]+) ", text, re.MULTILINE))
    ratio = re.search(r"the job runs at ([0-9.]+) of the forward pass", text)
    assert "images per second, 126 of 128 px" in text
    assert set(rows) == {"forward pass, batch 8", "decoding", "whole job"}
    assert float(ratio[1]) == pytest.approx(float(rows["whole job"]) / float(rows["forward pass, batch 8"]), abs=0.01)


def test_the_job_is_compared_with_the_best_batch_size_repeat_by_repeat():
    """The batch size is chosen by its median, not by its best repeat."""
    rates = Rates({8: [80.0, 90.0, 500.0], 32: [200.0, 100.0, 50.0]}, [300.0], [150.0, 75.0, 40.0], [9.0])

    assert rates.best_forward == [200, 100, 50]
    assert rates.job_of_forward == [0.75, 0.75, 0.8]
    assert rates.shared_of_forward == pytest.approx(0.75)  # 1 / (1 + 100 / 300)
