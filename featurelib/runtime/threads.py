"""Thread limits of TensorFlow, which reads them when its first operation creates the thread pools."""

import os

BRANCHES = 2
"""Operations of a training step that run in parallel: the two networks of a refinement stage, and the two gradients of
a layer. Threads of one operation wait for each other: two branches with one thread each train the refiner on 360 crops
per second, and one branch with two threads on 205."""


def limit_threads(cpus: int) -> None:
    """Set the number of threads that TensorFlow starts, and let it allocate GPU memory as needed.

    TensorFlow's default is one thread per CPU of the machine, whatever Ray gave the worker. It reads the limits at its
    first operation, and a worker process that trains again keeps them. Each of the BRANCHES gets an equal share of the
    threads, and at least one.

    Args:
        cpus: number of threads.
    """
    os.environ.update(
        TF_CPP_MIN_LOG_LEVEL="2",
        TF_NUM_INTRAOP_THREADS=str(max(1, cpus // BRANCHES)),
        TF_NUM_INTEROP_THREADS=str(BRANCHES),
        TF_FORCE_GPU_ALLOW_GROWTH="true",
    )
