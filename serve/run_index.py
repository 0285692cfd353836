"""The objects of a run. Ids are looked up, never joined to a path."""

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.shards import Manifest, RenderSpec, open_renders, read_views, renders_uri
from featurelib.errors import DataError
from featurelib.geometry import PROJECTIONS, SIDES, LandmarkSet, Projection
from featurelib.geometry.landmark_set import difference
from featurelib.models.detector.files import is_trained, read_network
from featurelib.models.lifter.files import is_trained as has_lifter
from featurelib.models.lifter.files import read_numbers
from featurelib.models.versions import ModelVersions, validation_mm
from featurelib.runtime import storage
from serve.api.errors import ApiError

CACHED_OBJECTS = 64
"""Objects whose images stay in memory, a third of a megabyte each. Reading a shard for each request took half of the
ingress's time per response."""


@dataclass(frozen=True)
class RunIndex:
    """What the server knows of a run.

    manifests: by projection, of those rendered and with a trained detector; first the one with the smallest error on
        validation objects. object_ids: sorted, of all objects with views.
    noise_xy: by projection, the detector's root mean square error (s, v, 2) of near positions on validation objects, in
        shares of the image; empty without a lifter.
    folds: number of folds behind the error bars of the first projection, if its models are trained on every labelled
        object; None otherwise.
    """

    manifests: dict[Projection, Manifest]
    object_ids: tuple[str, ...]
    noise_xy: dict[Projection, NDArray[np.float64]] = field(default_factory=dict)
    folds: int | None = None

    @classmethod
    def of(cls, run: str) -> Self:
        """Return the index of a run.

        Raises:
            DataError: if nothing has been rendered, or no detector trained.
        """
        manifests = manifests_of(run)
        uris = [uri for manifest in manifests.values() for uri in manifest.shard_uris]
        with ThreadPoolExecutor(8) as pool:
            ids = {row["object_id"] for rows in pool.map(_ids, uris) for row in rows}
        numbers = {p: read_numbers(run, p) for p in manifests if has_lifter(run, p)}
        noise_xy = {p: np.array(of_lifter["noise_xy"], float) for p, of_lifter in numbers.items()}
        folds = next((of_lifter.get("folds") for of_lifter in numbers.values()), None)
        return cls(manifests, tuple(sorted(ids)), noise_xy, folds)

    def projection(self, requested: Projection | None) -> Projection:
        """Return the requested projection, by default the one with the smallest error on validation objects.

        Raises:
            ApiError: 404 if the run does not have it, or there is no run.
        """
        if not self.manifests:
            raise ApiError(404, "this server has no run: it is for labelling only")
        if requested is not None and requested not in self.manifests:
            raise ApiError(404, f"projection {requested}: not in this run; it has {', '.join(self.manifests)}")
        return requested if requested is not None else next(iter(self.manifests))

    def spec(self, projection: Projection) -> RenderSpec:
        """Return how the images of a projection were rendered."""
        return self.manifests[projection].spec

    def landmarks(self, projection: Projection) -> LandmarkSet:
        """Return the landmark set of a projection's images."""
        return self.manifests[projection].landmarks

    def noise(self, projection: Projection) -> NDArray[np.float64] | None:
        """Return the detector's errors (s, v, 2) by slot and view, in shares of the image; None if not known."""
        return self.noise_xy.get(projection)

    def near(self, projection: Projection, row: Mapping[str, Any]) -> NDArray[np.intp]:
        """Return the nearer landmark of each slot (s,), 0 or 1, in the view of a row.

        Where the labels do not tell, it is that of the side that the view sees.
        """
        seen = self.spec(projection).rig.views[row["view"]].near_side
        near = np.array(row["near"], np.intp)
        return np.where(near < 0, SIDES.index(seen) if seen else 0, near)

    async def rows(self, object_id: str, projection: Projection, view: int | None = None) -> list[dict[str, Any]]:
        """Return the rows of schemas.shard_schema of an object, all views or one.

        Raises:
            ApiError: 404 if there are none.
        """
        rows = await asyncio.to_thread(self._rows, object_id, projection, view)
        if not rows:
            what = "" if view is None else f" view {view}"
            raise ApiError(404, f"object {object_id!r}{what}: not in this run's {projection} images")
        return rows

    def _rows(self, object_id: str, projection: Projection, view: int | None) -> list[dict[str, Any]]:
        if projection not in self.manifests or object_id not in self:
            return []
        return [row for row in self._views_of(projection, object_id) if view is None or row["view"] == view]

    def __contains__(self, object_id: str) -> bool:
        return object_id in self._known

    @cached_property
    def _views_of(self) -> Callable[[Projection, str], list[dict[str, Any]]]:
        """Read an object's views; a client that requests one soon requests the others."""
        return lru_cache(maxsize=CACHED_OBJECTS)(
            lambda projection, object_id: read_views(
                self.manifests[projection].shard_of(object_id), object_id=object_id
            )
        )

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.object_ids)


def manifests_of(run: str) -> dict[Projection, Manifest]:
    """Return the projections with images and a trained detector, first that with the smallest validation error.

    Raises:
        DataError: if nothing has been rendered, or no detector trained.
    """
    rendered = [p for p in PROJECTIONS if storage.exists(storage.join(renders_uri(run, p), "manifest.json"))]
    if not rendered:
        raise DataError(f"{storage.absolute(run)}: no finished rendering; run `featurelib render` first")
    trained = [p for p in rendered if is_trained(run, p)]
    if not trained:
        raise DataError(f"{storage.absolute(run)}: no trained detector; run `featurelib train-detector` first")
    lifted = [p for p in trained if has_lifter(run, p)]
    best_first = sorted(lifted, key=lambda p: validation_mm(run, p)) + [p for p in trained if p not in lifted]
    return {projection: open_renders(run, projection) for projection in best_first}


def refuse_other_set(manifest: Manifest, landmarks: LandmarkSet, dataset: str) -> None:
    """Raise DataError if the set of a dataset is not the one that a run was rendered with."""
    if manifest.landmarks.hash != landmarks.hash:
        change = difference(manifest.landmarks, landmarks)
        raise DataError(
            f"{dataset}: not the landmark set of the run {manifest.uri}, which is {change}; "
            "serve the run's own dataset, or run the pipeline on this one into a new --run"
        )


def run_version(run: str) -> str:
    """Return a hash of everything that determines responses: a run's images and models, in each projection.

    Raises:
        DataError: if nothing has been rendered, or no detector trained.
    """
    manifests = manifests_of(run)
    return sha256(json.dumps([_versions(run, manifests[p], p) for p in sorted(manifests)]).encode()).hexdigest()


def _versions(run: str, manifest: Manifest, projection: Projection) -> list[str]:
    images = [projection, manifest.content_hash]
    if has_lifter(run, projection):
        return [*images, *ModelVersions.of(run, projection).to_dict().values()]
    return [*images, read_network(run, projection).version]


def _ids(uri: str) -> list[dict[str, Any]]:
    return read_views(uri, view=0, columns=["object_id"])
