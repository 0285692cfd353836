"""The objects of a run as the server sees them: ids are looked up, never joined to a path."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

from featurelib import storage
from featurelib.detector.files import is_trained
from featurelib.errors import DataError
from featurelib.geometry import PROJECTIONS, Projection
from featurelib.shards import Manifest, open_renders, read_views, renders_uri


@dataclass(frozen=True)
class Catalogue:
    """What a run can be asked about.

    manifests: by projection, of those rendered and with a trained detector. object_ids: sorted, of all that gave views.
    """

    manifests: dict[Projection, Manifest]
    object_ids: tuple[str, ...]

    @classmethod
    def of(cls, run: str) -> Self:
        """Return the catalogue of a run.

        Raises:
            DataError: if nothing has been rendered, or no detector trained.
        """
        done = [p for p in PROJECTIONS if storage.exists(storage.join(renders_uri(run, p), "manifest.json"))]
        if not done:
            raise DataError(f"{storage.absolute(run)}: no finished rendering; run `featurelib render` first")
        trained = [p for p in done if is_trained(run, p)]
        if not trained:
            raise DataError(f"{storage.absolute(run)}: no trained detector; run `featurelib train-detector` first")
        manifests = {projection: open_renders(run, projection) for projection in trained}
        uris = [uri for manifest in manifests.values() for uri in manifest.shard_uris]
        with ThreadPoolExecutor(8) as pool:
            ids = {row["object_id"] for rows in pool.map(_ids, uris) for row in rows}
        return cls(manifests, tuple(sorted(ids)))

    def views(self, object_id: str, projection: Projection, view: int | None = None) -> list[dict[str, Any]]:
        """Return the rows of records.SHARD of an object, all views or one; empty if there is no such thing."""
        manifest = self.manifests.get(projection)
        if manifest is None:
            return []
        return read_views(manifest.shard_of(object_id), object_id=object_id, view=view)


def _ids(uri: str) -> list[dict[str, Any]]:
    return read_views(uri, view=0, columns=["object_id"])
