"""The objects of a run as the server sees them: ids are looked up, never joined to a path."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Any, Self

from featurelib.datasets.shards import Manifest, open_renders, read_views, renders_uri
from featurelib.errors import DataError
from featurelib.geometry import PROJECTIONS, Projection
from featurelib.models.detector.files import is_trained, model_version, read_model
from featurelib.models.lifter.files import is_trained as has_lifter
from featurelib.models.lifter.files import read_numbers
from featurelib.models.versions import ModelVersions, validation_mm
from featurelib.runtime import storage

OBJECTS_AT_HAND = 64
"""Objects whose images stay in memory, a third of a megabyte each. Reading a shard anew took half of what the front
did for an answer."""


@dataclass(frozen=True)
class RunIndex:
    """What a run can be asked about.

    manifests: by projection, of those rendered and with a trained detector; first the one whose models erred least on
        validation objects. object_ids: sorted, of all that gave views.
    noise_xy: by projection, the detector's root mean square error (v, 2) on validation objects; without a lifter, none.
    """

    manifests: dict[Projection, Manifest]
    object_ids: tuple[str, ...]
    noise_xy: dict[Projection, list[list[float]]] = field(default_factory=dict)

    @classmethod
    def of(cls, run: str) -> Self:
        """Return the catalogue of a run.

        Raises:
            DataError: if nothing has been rendered, or no detector trained.
        """
        manifests = manifests_of(run)
        uris = [uri for manifest in manifests.values() for uri in manifest.shard_uris]
        with ThreadPoolExecutor(8) as pool:
            ids = {row["object_id"] for rows in pool.map(_ids, uris) for row in rows}
        noise_xy = {p: read_numbers(run, p)["noise_xy"] for p in manifests if has_lifter(run, p)}
        return cls(manifests, tuple(sorted(ids)), noise_xy)

    def views(self, object_id: str, projection: Projection, view: int | None = None) -> list[dict[str, Any]]:
        """Return the rows of records.SHARD of an object, all views or one; empty if there is no such thing."""
        if projection not in self.manifests or object_id not in self:
            return []
        return [row for row in self._views_of(projection, object_id) if view is None or row["view"] == view]

    def __contains__(self, object_id: str) -> bool:
        return object_id in self._known

    @cached_property
    def _views_of(self) -> Callable[[Projection, str], list[dict[str, Any]]]:
        """Read an object's views; whoever asks for one soon asks for the others."""
        return lru_cache(maxsize=OBJECTS_AT_HAND)(
            lambda projection, object_id: read_views(
                self.manifests[projection].shard_of(object_id), object_id=object_id
            )
        )

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.object_ids)


def manifests_of(run: str) -> dict[Projection, Manifest]:
    """Return what was rendered and has a trained detector; first the projection whose models erred least.

    Raises:
        DataError: if nothing has been rendered, or no detector trained.
    """
    done = [p for p in PROJECTIONS if storage.exists(storage.join(renders_uri(run, p), "manifest.json"))]
    if not done:
        raise DataError(f"{storage.absolute(run)}: no finished rendering; run `featurelib render` first")
    trained = [p for p in done if is_trained(run, p)]
    if not trained:
        raise DataError(f"{storage.absolute(run)}: no trained detector; run `featurelib train-detector` first")
    lifted = [p for p in trained if has_lifter(run, p)]
    best_first = sorted(lifted, key=lambda p: validation_mm(run, p)) + [p for p in trained if p not in lifted]
    return {projection: open_renders(run, projection) for projection in best_first}


def run_version(run: str) -> str:
    """Return a hash of all that a run is asked with: its images and its models, in every projection.

    Raises:
        DataError: if nothing has been rendered, or no detector trained.
    """
    manifests = manifests_of(run)
    return sha256(json.dumps([_versions(run, manifests[p], p) for p in sorted(manifests)]).encode()).hexdigest()


def _versions(run: str, manifest: Manifest, projection: Projection) -> list[str]:
    images = [projection, manifest.content_hash]
    if has_lifter(run, projection):
        return [*images, *ModelVersions.of(run, projection).to_dict().values()]
    return [*images, model_version(read_model(run, projection))]


def _ids(uri: str) -> list[dict[str, Any]]:
    return read_views(uri, view=0, columns=["object_id"])
