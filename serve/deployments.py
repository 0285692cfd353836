"""The stages of the graph: a detector that batches pictures of many requests, and a lifter."""

import asyncio
from typing import Any

import numpy as np
from ray import serve

from featurelib.geometry import Projection
from serve.catalogue import Catalogue

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

    async def __call__(self, projection: Projection, pngs: list[bytes]) -> tuple[np.ndarray, str]:
        """Return positions xy (n, 2, 2) of left and right in n PNGs and the network's version."""
        return await self._batched((projection, pngs)), self.detectors[projection].version

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=BATCH_WAIT_S)
    async def _batched(self, requests: list[tuple[Projection, list[bytes]]]) -> list[np.ndarray]:
        answers: dict[int, np.ndarray] = {}
        for projection in {projection for projection, _ in requests}:
            mine = [i for i, request in enumerate(requests) if request[0] == projection]
            pngs = [png for i in mine for png in requests[i][1]]
            xy = (await asyncio.to_thread(self.detectors[projection], pngs)).xy
            ends = np.cumsum([len(requests[i][1]) for i in mine])[:-1]
            answers |= dict(zip(mine, np.split(xy, ends), strict=True))
        return [answers[i] for i in range(len(requests))]


@serve.deployment
class LifterStage:
    """Turns positions in all views into both landmarks in mm."""

    def __init__(self, run: str) -> None:
        """Load the lifters of a run."""
        from featurelib.lifter.model import Lifter

        manifests = Catalogue.of(run).manifests
        self.lifters = {projection: Lifter.load(run, projection, m.spec) for projection, m in manifests.items()}
        for projection, lifter in self.lifters.items():
            middle = np.full((len(manifests[projection].spec.rig), 2, 2), 0.5)
            lifter(middle[:, 0], np.zeros(3), pair_xy=middle)

    async def __call__(
        self,
        projection: Projection,
        xy: np.ndarray,
        pair_xy: np.ndarray,
        centre_mm: list[float],
        method: str | None,
    ) -> dict[str, Any]:
        """Return the pair (2, 3) in mm, object frame, the method used and its sigma in mm (or None).

        xy (v, 2) are the near instance's positions, pair_xy (v, 2, 2) those of left and right.
        """
        lifter = self.lifters[projection]
        method = method or lifter.chosen
        pair_mm = await asyncio.to_thread(lifter, xy, np.array(centre_mm), method, pair_xy)
        return {"pair_mm": pair_mm.tolist(), "method": method, "sigma_mm": lifter.sigma_mm.get(method)}

    async def noise_xy(self, projection: Projection) -> list[list[float]] | None:
        """Return the detector's root mean square error (v, 2) on validation objects, if the lifter knows it."""
        noise = self.lifters[projection].noise_xy
        return None if noise is None else noise.tolist()
