import re

from jobs.bench.render import BenchRenderConfig, bench_render


def test_bench_render_compares_the_job_with_the_loop_before_and_after_it(cluster, bodies, capsys):
    """The job renders as many objects as requested, from links to the dataset's meshes."""
    bench_render(
        BenchRenderConfig(
            dataset=str(bodies), objects=20, image_size=32, processes=1, seconds=0.2, repeats=1, variants=("raster",)
        )
    )

    text = capsys.readouterr().out
    loops = [int(views) for views in re.findall(r"^bare loop .*: (\d+) views/s", text, re.MULTILINE)]
    views, job = re.search(r"^whole job: (\d+) views in [0-9.]+ s, (\d+) views/s$", text, re.MULTILINE).groups()
    ratio = float(re.search(r"^the job is at ([0-9.]+) of the bare loop", text, re.MULTILINE).group(1))
    assert int(views) == 2 * 9 * 20
    assert abs(ratio - int(job) / (sum(loops) / 2)) < 0.02
