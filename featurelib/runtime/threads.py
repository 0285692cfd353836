"""How many threads TensorFlow takes. It reads this as it is imported, so that this module imports nothing of it."""

import os


def limit_threads(cpus: int, branches: int | None = None) -> None:
    """Keep TensorFlow, which is not yet loaded, to so many threads and to the GPU memory that it needs.

    By itself TensorFlow takes a thread for each CPU of the machine, whatever Ray gave the worker. The environment also
    holds in a worker that has run something else before, where TensorFlow's own setters would raise.

    Args:
        cpus: threads in all.
        branches: things that are computed side by side, with a thread each as far as there are; they share those that
            split a single layer. By default as many as threads: a batch's images are dealt to them
            (`inference.run_in_chunks`).
    """
    branches = cpus if branches is None else branches
    os.environ.update(
        TF_CPP_MIN_LOG_LEVEL="2",
        TF_NUM_INTRAOP_THREADS=str(max(1, cpus // branches)),
        TF_NUM_INTEROP_THREADS=str(min(cpus, branches)),
        TF_FORCE_GPU_ALLOW_GROWTH="true",
    )
