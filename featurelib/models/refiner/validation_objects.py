"""Validation objects of a refiner: their meshes, labels and estimates, and networks that have not seen them."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from featurelib.meshes import Mesh
from featurelib.models.inference import Network
from featurelib.models.refiner.anatomy import Anatomy
from featurelib.models.refiner.calibration import residuals_mm
from featurelib.models.refiner.readings import Stage
from featurelib.models.refiner.refinement import Refined

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class ValidationObjects:
    """n validation objects, and the estimates that the next stage refines.

    load: returns the mesh of object i. anatomy: what is refined. truths_mm, estimates_mm: (n, k, 3); NaN for an unknown
    truth. threads: objects refined in parallel. networks: (n,) for each object those of the next stages, if the
    stages' own have seen it; the last is that of all later stages. Empty by default.
    """

    load: Callable[[int], Mesh]
    anatomy: Anatomy
    truths_mm: NDArray[np.float64]
    estimates_mm: NDArray[np.float64]
    threads: int = 1
    networks: tuple[tuple[Network, ...], ...] = ()

    def each(self, function: Callable[[Mesh, int], Result]) -> list[Result]:
        """Return function(mesh, i) for each object i."""
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(lambda i: function(self.load(i), i), range(len(self.truths_mm))))

    @property
    def residuals_mm(self) -> NDArray[np.float64]:
        """Finite errors (m, 3) of the estimates, with those of the mirror image mirrored."""
        return residuals_mm(self.estimates_mm, self.truths_mm, self.anatomy.sides)

    def where(self, chosen: NDArray[np.intp]) -> "ValidationObjects":
        """Return some of the objects, by their indices (m,)."""
        truths_mm, estimates_mm = self.truths_mm[chosen], self.estimates_mm[chosen]
        networks = tuple(self.networks[i] for i in chosen) if self.networks else ()
        some = replace(self, truths_mm=truths_mm, estimates_mm=estimates_mm, networks=networks)
        return replace(some, load=lambda i: self.load(chosen[i]))

    def evenly(self, count: int) -> "ValidationObjects":
        """Return at most `count` objects, evenly spread."""
        num_objects = len(self.truths_mm)
        return self if num_objects <= count else self.where(np.arange(count) * num_objects // count)

    def after(self, results: Iterable[Refined]) -> "ValidationObjects":
        """Return the objects with a stage's results, before the snap, as the estimates of the next stage."""
        unsnapped = [self.anatomy.mean_shape.repaired(result.unsnapped_mm) for result in results]
        return replace(
            self, estimates_mm=np.array(unsnapped), networks=tuple(each[1:] or each for each in self.networks)
        )

    def unseen(self, stages: Sequence[Stage], i: int) -> tuple[Stage, ...]:
        """Return stages with networks that have not seen object i."""
        if not self.networks:
            return tuple(stages)
        last = len(self.networks[i]) - 1
        own = {stage: self.networks[i][min(number, last)] for number, stage in enumerate(dict.fromkeys(stages))}
        replaced = {stage: replace(stage, network=network) for stage, network in own.items()}
        return tuple(replaced[stage] for stage in stages)
