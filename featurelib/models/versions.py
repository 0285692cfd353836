"""The hashes of a run's models and their error on validation objects. Needs no network."""

from dataclasses import asdict, dataclass

from featurelib.models.detector.files import read_network
from featurelib.models.lifter.files import lifter_version
from featurelib.models.lifter.files import read_numbers as read_lifter
from featurelib.models.refiner.files import current_version, refiner_uri
from featurelib.models.refiner.files import read_numbers as read_refiner


@dataclass(frozen=True)
class ModelVersions:
    """Hashes of a projection's trained files; `refiner` is empty without one."""

    detector: str
    lifter: str
    refiner: str

    @classmethod
    def of(cls, run: str, projection: str) -> "ModelVersions":
        """Return the versions of a run's models.

        Raises:
            DataError: if the detector or the lifter is not trained.
        """
        return cls(
            read_network(run, projection).version,
            lifter_version(run, projection),
            current_version(run, projection) or "",
        )

    def to_dict(self) -> dict[str, str]:
        """Return plain values for JSON."""
        return asdict(self)


def validation_mm(run: str, projection: str) -> float:
    """Return the mean error on validation objects of a projection's best stage.

    Raises:
        DataError: if the lifter is not trained.
    """
    numbers = read_lifter(run, projection)
    first_mm = float(numbers["validation_mm"][numbers["chosen"]])
    if not current_version(run, projection):
        return first_mm
    return min(first_mm, float(read_refiner(refiner_uri(run, projection))["validation_mm"]["refined"]))
