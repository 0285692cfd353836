"""Thread limits of TensorFlow, which reads them when its first operation creates the thread pools."""

import os


def limit_threads(cpus: int, branches: int | None = None) -> None:
    """Set the number of threads that TensorFlow starts, and let it allocate GPU memory as needed.

    Call this before TensorFlow's first operation; later calls have no effect. TensorFlow's default is one thread per
    CPU of the machine, whatever Ray gave the worker. Its own setters would raise in a reused worker process.

    Args:
        cpus: total number of threads.
        branches: number of operations that run in parallel; each gets an equal share of the threads. Default: `cpus`,
            because `inference.run_in_chunks` divides a batch into one chunk per thread.
    """
    branches = cpus if branches is None else branches
    os.environ.update(
        TF_CPP_MIN_LOG_LEVEL="2",
        TF_NUM_INTRAOP_THREADS=str(max(1, cpus // branches)),
        TF_NUM_INTEROP_THREADS=str(min(cpus, branches)),
        TF_FORCE_GPU_ALLOW_GROWTH="true",
    )
