"""What a server serves: its landmark set, its projections, and whether labels can be saved."""

from pydantic import BaseModel

from featurelib.geometry import LandmarkSet, Mirror, Projection


class Landmarks(BaseModel):
    """The landmark set: `names` in the order of every list of landmarks, their roles, and what is for display only.

    `pairs` are left and right, from the object's own point of view. `mirror` is what the mirror image of an object is.
    """

    names: list[str]
    pairs: list[tuple[str, str]]
    midline: list[str]
    unpaired: list[str]
    mirror: Mirror
    outlines: list[list[str]]
    definitions: dict[str, str]


class About(BaseModel):
    """What the server serves.

    `landmark` is the name of a pair that is the whole set, null for another set. `projections` begins with that of the
    smallest error. `labelling` is whether labels can be saved. `folds` is the number of folds behind the error bars, if
    the models are trained on every labelled object, else null.
    """

    landmark: str | None
    landmarks: Landmarks
    projections: list[Projection]
    labelling: bool
    folds: int | None = None


def landmarks_of(landmarks: LandmarkSet) -> Landmarks:
    """Return the description of a set."""
    return Landmarks(
        names=list(landmarks.names),
        pairs=list(landmarks.pairs),
        midline=list(landmarks.midline),
        unpaired=list(landmarks.unpaired),
        mirror=landmarks.mirror,
        outlines=[list(outline) for outline in landmarks.outlines],
        definitions=dict(landmarks.definitions),
    )


def pair_name(landmarks: LandmarkSet) -> str | None:
    """Return the name that both landmarks of a single pair begin with; None for another set."""
    name = landmarks.names[0].removesuffix("_left")
    return name if landmarks.names == LandmarkSet.single_pair(name).names else None
