"""RUN/renders + RUN/detector -> RUN/vectors: each object's near positions in all views, as the detector sees them.

1. Open the manifest and the detector.
2. Fan the shards over a pool of detectors; whole objects lie in one shard, so a shard gives finished rows.
3. Write one table, with the hashes of what made it in its footer.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import ray

from featurelib import cli
from featurelib.detector.files import model_version, read_model
from featurelib.geometry import Projection
from featurelib.lifter.vectors import read_config, vectors_uri, write_vectors
from featurelib.progress import Progress
from featurelib.shards import Manifest, open_renders, read_views
from jobs import cluster

COLUMNS = ("object_id", "split", "view", "png", "xy", "left_mm", "right_mm", "centre_mm")
PICTURES_AT_ONCE = 64
"""Pictures a forward pass. More do not help a CPU; a shard holds about 144."""


@cli.config
@dataclass(frozen=True, kw_only=True)
class VectorizeConfig:
    """What to run the detector on.

    Attributes:
        run: Folder or s3:// URI of the run.
        projection: Which pictures and which detector.
    """

    run: str
    projection: Projection = "orthographic"


def vectorize(config: VectorizeConfig) -> None:
    """Run the detector over all views and gather each object's positions.

    Example: featurelib vectorize --run runs/heads --projection orthographic
    """
    manifest = open_renders(config.run, config.projection)
    uri = vectors_uri(config.run, config.projection)
    version = model_version(read_model(config.run, config.projection))
    made_from = {"projection": config.projection, "renders": manifest.content_hash, "detector": version}
    if read_config(uri) == made_from:
        print(f"{uri}: made already; nothing to do")
        return
    rows = _rows(config, manifest)
    write_vectors(uri, rows, len(manifest.spec.rig), made_from)
    print(f"{uri}: {len(rows)} objects")


def _rows(config: VectorizeConfig, manifest: Manifest) -> list[dict[str, Any]]:
    cluster.connect_for_data()
    workers = max(1, min(cluster.num_cpus() - 1, len(manifest.shards)))
    progress = Progress(f"vectorize {config.projection}", sum(manifest.objects.values()), "objects")
    shards = ray.data.from_items(
        [{"uri": uri} for uri in manifest.shard_uris], override_num_blocks=len(manifest.shards)
    )
    found = shards.map(
        ShardVectorizer,
        fn_constructor_kwargs={"run": config.run, "projection": config.projection},
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
    )
    rows = []
    for row in found.iter_rows():
        rows += row["vectors"]
        progress.add(len(row["vectors"]))
    progress.end()
    return rows


class ShardVectorizer:
    """Runs the detector over whole shards; the network is loaded once."""

    def __init__(self, run: str, projection: str) -> None:
        """Load the detector of a run."""
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        from featurelib.detector.model import Detector

        self.detector = Detector.load(run, projection)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Column in: uri of a shard. Column out: vectors, rows of records.vectors_schema."""
        views = read_views(row["uri"], columns=COLUMNS)
        chunks = [views[i : i + PICTURES_AT_ONCE] for i in range(0, len(views), PICTURES_AT_ONCE)]
        found = [xy for chunk in chunks for xy in self.detector([view["png"] for view in chunk])]
        return {"vectors": list(_vectors(views, found))}


def _vectors(views: list[dict[str, Any]], found: list[np.ndarray]) -> Iterator[Mapping[str, Any]]:
    """Gather the rows of one object's views, which lie together in rig order, into one."""
    for object_id, group in groupby(zip(views, found, strict=True), key=lambda pair: pair[0]["object_id"]):
        rows, xy = zip(*group, strict=True)
        first = rows[0]
        yield {
            "object_id": object_id,
            "split": first["split"],
            "xy": np.concatenate(xy).tolist(),
            "xy_true": np.concatenate([row["xy"] for row in rows]).tolist(),
            "target_mm": [*first["left_mm"], *first["right_mm"]],
            "centre_mm": first["centre_mm"],
        }


if __name__ == "__main__":
    cli.run(cli.single_command(vectorize, "vectorize"))
