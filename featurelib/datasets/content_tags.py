"""Tags of the meshes' content, by which a rendering and a prediction know their inputs."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256

import pyarrow as pa
import pyarrow.compute as pc

from featurelib.datasets.dataset import Dataset
from featurelib.datasets.schemas import OBJECTS
from featurelib.runtime import storage


def with_content_tags(dataset: Dataset, known: pa.Table | None = None) -> Dataset:
    """Return the dataset with `mesh_tag` a function of each mesh's content: SHA-256 of local files, ETag on S3.

    Args:
        dataset: as opened, with tags of the listing (size and time of change).
        known: of records.INPUTS, what earlier runs found; files that have not changed since are not read.
    """
    if storage.is_s3(dataset.uri):
        return dataset
    listed, meshes = dataset.objects["mesh_tag"], dataset.objects["mesh"]
    found = pc.index_in(listed, known["mesh_tag"]) if known else pa.nulls(len(listed), pa.int32())
    tags = pc.take(known["content_tag"], found).to_pylist() if known else [None] * len(listed)

    def tag(i: int) -> str:
        return f"sha256:{sha256(storage.read_bytes(dataset.mesh_uri(meshes[i].as_py()))).hexdigest()}"

    new = [i for i, content_tag in enumerate(tags) if content_tag is None and meshes[i].is_valid]
    with ThreadPoolExecutor(4) as pool:  # hashing lets go of the GIL; disks like a few readers
        for i, content_tag in zip(new, pool.map(tag, new), strict=True):
            tags[i] = content_tag
    column = dataset.objects.schema.get_field_index("mesh_tag")
    objects = dataset.objects.set_column(column, OBJECTS.field("mesh_tag"), pa.array(tags, pa.string()))
    return replace(dataset, objects=objects)
