import re

import pytest

from jobs.bench.drivers.predict import ROLES, STAGES
from jobs.bench.predict import BenchPredictConfig, bench_predict


@pytest.mark.slow
def test_bench_predict_compares_the_job_with_its_stages(cluster, run, bodies, capsys):
    """The CPU times of the stages add up, and the job's rate is compared with theirs."""
    bench_predict(BenchPredictConfig(dataset=str(bodies), run=str(run), workers=(1,), sample=2))

    text = capsys.readouterr().out
    costs = [float(ms) for ms in re.findall(rf"^(?:{'|'.join(STAGES)}) +([0-9.]+) +\d+%", text, re.MULTILINE)]
    whole, rate = re.search(r"^all +([0-9.]+), ([0-9.]+) objects per second and core", text, re.MULTILINE).groups()
    timing = re.search(r"^ +1 +14 +([0-9.]+) +([0-9.]+) +([0-9.]+) +([0-9.]+)$", text, re.MULTILINE)
    seconds, _, objects_per_s, of_stages = map(float, timing.groups())
    assert len(costs) == len(STAGES)
    assert sum(costs) == pytest.approx(float(whole), abs=0.3)
    assert objects_per_s == pytest.approx(14 / seconds, rel=0.1)
    assert of_stages == pytest.approx(objects_per_s / float(rate), abs=0.02)
    assert re.search(rf"^ +1 workers: .*{ROLES['make_part']} [0-9]+, [0-9]+", text, re.MULTILINE)
