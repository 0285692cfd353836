from jobs.bench.plan import BenchPlanConfig, bench_plan


def test_bench_plan_plans_a_simulated_bucket(capsys):
    """It counts objects, shards and the calls that list them."""
    bench_plan(BenchPlanConfig(objects=2000))

    assert "2000 objects, 128 shards per projection, 4 list calls of 1,000 names" in capsys.readouterr().out


def test_bench_plan_plans_and_commits_a_simulated_prediction(capsys):
    """It reads each part once, and writes and lists once."""
    bench_plan(BenchPlanConfig(objects=2000, predict=True, request_ms=1))

    assert "2000 objects, 128 parts, 130 requests of 1 ms" in capsys.readouterr().out
