"""The measurements run, on as little as there can be; what they say of so little is not judged."""

import re

import pytest

from featurelib.evaluation.corruptions import KINDS
from jobs.bench.plan import BenchPlanConfig, bench_plan
from jobs.bench.predict import STAGES, BenchPredictConfig, bench_predict
from jobs.bench.vectorize import BenchVectorizeConfig, Rates, bench_vectorize
from jobs.experiments.corruptions import CorruptionsConfig, corruptions


def test_bench_vectorize_measures_the_job_beside_its_parts(cluster, run, capsys):
    """One table holds the forward pass by batch size, decoding, and the whole job, and then their ratio."""
    bench_vectorize(BenchVectorizeConfig(run=str(run), batch_sizes=(8,), seconds=0.2, repeats=1))

    text = capsys.readouterr().out
    rows = dict(re.findall(r"^(forward pass, batch 8|decoding|whole job) +([0-9.]+) ", text, re.MULTILINE))
    ratio = re.search(r"the job runs at ([0-9.]+) of the forward pass", text)
    assert "images a second, 126 of 128 px" in text
    assert set(rows) == {"forward pass, batch 8", "decoding", "whole job"}
    assert float(ratio[1]) == pytest.approx(float(rows["whole job"]) / float(rows["forward pass, batch 8"]), abs=0.01)


def test_the_job_is_compared_to_the_best_batch_size_of_its_own_repeat():
    """Medians count, not the luckiest repeat, nor what the machine did at another minute."""
    rates = Rates({8: [80.0, 90.0, 500.0], 32: [200.0, 100.0, 50.0]}, [300.0], [150.0, 75.0, 40.0], [9.0])

    assert rates.best_forward == [200, 100, 50]
    assert rates.job_of_forward == [0.75, 0.75, 0.8]
    assert rates.shared_of_forward == pytest.approx(0.75)  # cores that do two things do each for a part of the time


def test_bench_plan_plans_a_simulated_bucket(capsys):
    """It counts objects, shards and the calls that list them."""
    bench_plan(BenchPlanConfig(objects=2000))

    assert "2000 objects, 128 shards per projection, 4 list calls of 1,000 names" in capsys.readouterr().out


def test_corruptions_says_what_becomes_of_every_spoiled_object(cluster, run, capsys):
    """Each is rejected, right, or accepted and wrong; the table names its kind and its object."""
    corruptions(CorruptionsConfig(run=str(run), each=1))

    text = capsys.readouterr().out
    line = r"^(\d+) corrupted objects: (\d+) rejected, (\d+) accepted and right .*, (\d+) accepted and wrong$"
    counts = re.search(line, text, re.MULTILINE)
    objects, *outcomes = map(int, counts.groups())
    assert objects == sum(outcomes) == len(KINDS)
    for kind in KINDS:
        assert re.search(rf"^{kind} +body-0000[0-9] ", text, re.MULTILINE)
    assert re.search(r"^twice as large .* load: .*needs a frame of", text, re.MULTILINE)


@pytest.mark.slow
def test_bench_predict_measures_the_job_beside_its_stages(cluster, run, bodies, capsys):
    """An object's CPU time by stage adds up, and the job's rate stands beside what the cores alone would reach."""
    bench_predict(BenchPredictConfig(dataset=str(bodies), run=str(run), workers=(1,), sample=2))

    text = capsys.readouterr().out
    costs = [float(ms) for ms in re.findall(r"^(?:load|register|detect|look)\D* +([0-9.]+) +\d+%", text, re.MULTILINE)]
    whole, rate = re.search(r"^all +([0-9.]+), ([0-9.]+) objects per second and core", text, re.MULTILINE).groups()
    pace = re.search(r"^ +1 +14 +([0-9.]+) +([0-9.]+) +([0-9.]+) +([0-9.]+)$", text, re.MULTILINE)
    seconds, _, objects_per_s, of_stages = map(float, pace.groups())
    assert len(costs) == len(STAGES)
    assert sum(costs) == pytest.approx(float(whole), abs=0.3)
    assert objects_per_s == pytest.approx(14 / seconds, rel=0.1)
    assert of_stages == pytest.approx(objects_per_s / float(rate), abs=0.02)
    assert re.search(r"^ +1 workers: .*answering [0-9]+, [0-9]+", text, re.MULTILINE)
