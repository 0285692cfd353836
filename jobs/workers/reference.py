"""The typical shape of a dataset, built on the cluster from a sample of its meshes."""

import ray

from featurelib.datasets.dataset import Dataset
from featurelib.meshes.pose_search import ReferenceShape
from featurelib.meshes.reference import REFERENCE_SAMPLE
from featurelib.runtime.sandbox import ProcessLostError, SandboxLimits
from featurelib.validation.dataset.measure import ReferenceJob, measure_reference
from jobs.workers.sandbox import work_sandboxed


def sample_reference(limits: SandboxLimits, dataset: Dataset) -> ReferenceShape | ProcessLostError | None:
    """Return the mean shape of an even sample of the objects, or the error of the process that was lost.

    It is None if no mesh of the sample can be read.
    """
    files = [*dataset.files.values()]
    count = min(len(files), REFERENCE_SAMPLE)
    sample = [files[i * len(files) // count] for i in range(count)]
    job = ReferenceJob(
        [(dataset.mesh_uri(file.name), dataset.object_from_source_of(file.rotation_wxyz)) for file in sample]
    )
    (found,) = ray.get(work_sandboxed.remote(limits, measure_reference, [job]))
    reference: ReferenceShape | ProcessLostError | None = found
    return reference
