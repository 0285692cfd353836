import re

import pytest

from jobs.bench.delivery import Delivery
from jobs.bench.drivers.train import Measured
from jobs.bench.step import Pace
from jobs.bench.train import BenchTrainConfig, bench_train


@pytest.mark.slow
def test_bench_train_compares_a_training_with_its_parts(cluster, run, capsys):
    """One row has the stream, the step, both, and the rate that the CPUs would allow."""
    bench_train(BenchTrainConfig(run=str(run), input_size=32, batch_size=16, epochs=2, samples=200, seconds=0.1))

    row = re.search(r"^ +1((?: +[0-9.]+){9})$", capsys.readouterr().out, re.MULTILINE)
    stream, step, both, wait_pct, predicted, share = map(float, row[1].split()[:6])
    assert both > 0
    assert 0 <= wait_pct <= 100
    assert predicted <= min(stream, step) + 0.1
    assert share == pytest.approx(both / predicted, abs=0.1)


def test_the_prediction_follows_from_cpu_time():
    """Two CPUs at 2 + 8 ms per image make 200 images per second; with more, the slower part is the bound."""
    row = Measured(1, Delivery(100, 1.0, 900.0, 2.0), Pace(250.0, 8.0), both=180.0, wait_pct=3.0)

    assert row.predicted(cpus=2) == 200
    assert row.predicted(cpus=16) == 250


@pytest.mark.slow
def test_bench_train_measures_memory_over_the_dataset(cluster, run, capsys):
    """With --images, the table has the peak of each role and its growth."""
    bench_train(BenchTrainConfig(run=str(run), input_size=32, batch_size=16, epochs=1, images=(90, 180)))

    text = capsys.readouterr().out
    for role in ("train worker", "driver"):
        small, large, growth = map(
            float, re.search(rf"^{role} +(\d+) +(\d+) +(-?[0-9.]+)%$", text, re.MULTILINE).groups()
        )
        assert growth == pytest.approx(100 * (large / small - 1), abs=1.5)
