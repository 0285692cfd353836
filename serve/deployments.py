"""The stages of the graph: a detector that batches pictures of many requests, and what makes millimetres of it."""

import asyncio
import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from ray import serve

from featurelib.answers import REFINED, Seen
from featurelib.claims import Claim
from featurelib.dataset import Dataset, open_dataset
from featurelib.errors import DataError, FeaturelibError, UsageError
from featurelib.geometry import Projection
from serve.catalogue import Catalogue

if TYPE_CHECKING:
    from featurelib.finder import Finder

LOOKING = (REFINED, "template")
"""Methods that need the object's mesh."""


BATCH = 16
"""Requests whose pictures share a forward pass, at most."""
BATCH_WAIT_S = 0.002
"""How long a request waits for others. A lone one loses 2 ms; under load the queue fills while a pass runs."""


@serve.deployment
class DetectorStage:
    """Finds the near landmark in pictures. One network a projection, warm before the first request."""

    def __init__(self, run: str) -> None:
        """Load the detectors of a run."""
        from featurelib.detector.model import Detector
        from featurelib.shards import encode_png

        self.detectors = {projection: Detector.load(run, projection) for projection in Catalogue.of(run).manifests}
        blank = encode_png(np.full((64, 64), 255, np.uint8))
        for detector in self.detectors.values():
            detector([blank] * 9)
            detector([blank])

    async def __call__(self, projection: Projection, pngs: list[bytes]) -> tuple[Seen, str]:
        """Return what is seen of left and right in n PNGs and the network's version."""
        return await self._batched((projection, pngs)), self.detectors[projection].version

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=BATCH_WAIT_S)
    async def _batched(self, requests: list[tuple[Projection, list[bytes]]]) -> list[Seen]:
        answers: dict[int, Seen] = {}
        for projection in {projection for projection, _ in requests}:
            mine = [i for i, request in enumerate(requests) if request[0] == projection]
            pngs = [png for i in mine for png in requests[i][1]]
            sighting = await asyncio.to_thread(self.detectors[projection], pngs)
            ends = np.cumsum([len(requests[i][1]) for i in mine])[:-1]
            parts = zip(np.split(sighting.xy, ends), np.split(sighting.visible, ends), strict=True)
            answers |= zip(mine, itertools.starmap(Seen, parts), strict=True)
        return [answers[i] for i in range(len(requests))]


class Lifted(NamedTuple):
    """Both landmarks: pair_mm (2, 3), object frame, and sigma_mm of each, None where the method's error is not known.

    claim: of the run's own choice of method; None for a method that was asked for.
    """

    pair_mm: list[list[float]]
    method: str
    sigma_mm: tuple[float | None, float | None]
    claim: Claim | None = None


@serve.deployment
class LifterStage:
    """Turns what is seen in all views into both landmarks in mm, and looks again from near."""

    def __init__(self, run: str) -> None:
        """Load what comes after the detectors of a run."""
        from featurelib.finder import Finder
        from featurelib.lifter.files import is_trained
        from featurelib.lifter.model import Lifter

        manifests = Catalogue.of(run).manifests
        self.finders = {p: Finder.load(run, p, m.spec) for p, m in manifests.items() if is_trained(run, p)}
        self.lifters = {
            p: self.finders[p].lifter if p in self.finders else Lifter.load(run, p, m.spec)
            for p, m in manifests.items()
        }
        self.datasets = {p: _meshes(m.dataset) for p, m in manifests.items()}
        for projection, lifter in self.lifters.items():
            middle = np.full((len(manifests[projection].spec.rig), 2, 2), 0.5)
            lifter(middle[:, 0], np.zeros(3), pair_xy=middle)

    async def __call__(
        self,
        projection: Projection,
        object_id: str,
        xy: np.ndarray,
        seen: Seen,
        centre_mm: list[float],
        method: str | None,
    ) -> Lifted:
        """Return the landmarks of an object by a method, or by the run's own choice.

        The run's choice looks at the mesh, if the dataset is where the rendering found it, and else falls back to
        the chosen fusion. xy (v, 2) are the near instance's positions.

        Raises:
            UsageError: if the method is unknown.
            DataError: if it needs the mesh and that cannot be read.
        """
        finder, lifter = self.finders.get(projection), self.lifters[projection]
        dataset, files = self.datasets[projection]
        if finder and (method in LOOKING or (method is None and object_id in files)):
            if dataset is None or object_id not in files:
                raise DataError(f"method {method}: needs the object's mesh, which is not in {dataset and dataset.uri}")
            return await asyncio.to_thread(_looked, finder, dataset, files[object_id], seen, method)
        method = method or lifter.chosen
        pair_mm = await asyncio.to_thread(lifter, xy, np.array(centre_mm), method, seen.pair_xy)
        sigma_mm = lifter.sigma_mm.get(method)
        return Lifted(pair_mm.tolist(), method, (sigma_mm, sigma_mm))

    async def noise_xy(self, projection: Projection) -> list[list[float]] | None:
        """Return the detector's root mean square error (v, 2) on validation objects, if the lifter knows it."""
        noise = self.lifters[projection].noise_xy
        return None if noise is None else noise.tolist()


def _looked(finder: "Finder", dataset: Dataset, mesh: str, seen: Seen, method: str | None) -> Lifted:
    """Return what a finder makes of a mesh file: its own choice, or one of the methods LOOKING."""
    answer = finder(dataset.load(mesh), seen)
    if method is None or method == answer.method:
        left, right = answer.claim.sigma_mm.tolist()
        return Lifted(answer.pair_mm.tolist(), answer.method, (left, right), answer.claim)
    if method not in answer.pairs_mm:
        raise UsageError(f"method {method!r}: this run has no refiner; expected one of {', '.join(answer.pairs_mm)}")
    return Lifted(answer.pairs_mm[method].tolist(), method, (None, None))


def _meshes(uri: str) -> tuple[Dataset | None, dict[str, str]]:
    """Return a dataset and its mesh files by object; none where it is not where it was."""
    try:
        dataset = open_dataset(uri, labelled=False)
    except FeaturelibError:
        return None, {}
    objects = dataset.objects
    return dataset, dict(zip(objects["object_id"].to_pylist(), objects["mesh"].to_pylist(), strict=True))
