"""`featurelib bench`: measure this machine or cluster and print a table. Ratios are taken within one run."""

from cyclopts import App

COMMANDS = {
    "render": ("jobs.bench.render:bench_render", "Views per second of each renderer, and the job against a bare loop."),
    "vectorize": ("jobs.bench.vectorize:bench_vectorize", "Images per second of the job and of its network alone."),
    "ingest": ("jobs.bench.ingest:bench_ingest", "Samples per second of the stream and of tf.data, from disk and S3."),
    "train": (
        "jobs.bench.train:bench_train",
        "Images per second of stream, step and training; memory by dataset size.",
    ),
    "predict": ("jobs.bench.predict:bench_predict", "Objects per second of the job, and CPU time of its stages."),
    "serve": ("jobs.bench.serve:bench_serve", "Latency and throughput of each route, against a plain Keras server."),
    "plan": ("jobs.bench.plan:bench_plan", "Time and memory to plan a rendering of a million objects."),
}

app = App(name="bench", help=__doc__, version_flags=())
for _name, (_target, _summary) in COMMANDS.items():
    app.command(_target, name=_name, help=_summary)
