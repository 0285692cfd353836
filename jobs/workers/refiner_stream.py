"""The crops that a refiner's stage is trained on, as a Ray Data stream that the cluster renders during the training.

A block of the stream is one batch, so nothing is batched again. Blocks keep the order of their plan: the same seed
gives the same batches on any cluster.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from featurelib.models.refiner.plan import CropBatch, SamplePlan
from jobs.workers import cluster


def batches_of(plan: SamplePlan) -> Iterator[CropBatch]:
    """Yield the plan's batches, rendered on the cluster."""
    cluster.connect_for_data()
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    for block in sample_stream(plan).iter_batches(batch_size=None, prefetch_batches=4):
        yield CropBatch(block["image"], block["xy"], str(block["skipped"][0]).splitlines())


def sample_stream(plan: SamplePlan) -> ray.data.Dataset:
    """Return the plan's samples; a block is a batch.

    Columns: image (s, s, 3) uint8, xy (2,) float32, and skipped (reasons, one per line, equal in all rows of a batch).
    """
    return (
        ray.data.range(plan.num_segments, override_num_blocks=plan.num_segments)
        .map_batches(_draw_segment, batch_size=1, fn_kwargs={"plan": plan})
        .repartition(target_num_rows_per_block=plan.batch_size)
    )


def _draw_segment(batch: dict[str, NDArray], plan: SamplePlan) -> Iterator[dict[str, Any]]:
    """Draw a segment's batches. Column in: id, the segment's number, in one row. Columns out: as of sample_stream."""
    for drawn in plan.batches(int(batch["id"][0])):
        reasons = np.full(len(drawn.xy), "\n".join(drawn.skipped))
        yield {"image": drawn.images, "xy": drawn.xy, "skipped": reasons}
