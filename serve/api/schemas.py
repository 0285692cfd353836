"""Responses. xy are image positions in [0, 1], px pixels, mm millimetres in the object frame."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from featurelib.geometry import Projection

Side = Literal["left", "right"]
Xy = tuple[float, float]
Xyz = tuple[float, float, float]


class LandmarkDetection(BaseModel):
    """A landmark in an image, occluded or not, and the probability that it is visible.

    `near` is whether it is the nearer one of its pair, null if that is not known; midline and unpaired landmarks are.
    `xy` and `px` are null for the farther one if the detector has one position for a pair; `visible` is then null.
    `sigma_px` is the root mean square error of near positions in this view on validation objects (of all views, for an
    upload), null before the lifter is trained; `sigma_xy_px` are its parts along the image axes.
    """

    name: str
    xy: Xy | None
    px: Xy | None
    sigma_px: float | None
    sigma_xy_px: Xy | None
    visible: float | None
    near: bool | None


class InstanceDetection(BaseModel):
    """The detected position of one of a pair, occluded or not, and the probability that it is visible."""

    xy: Xy
    px: Xy
    visible: float


class PairDetection(BaseModel):
    """Both of a pair in one image."""

    left: InstanceDetection
    right: InstanceDetection


class InferResponse(BaseModel):
    """All landmarks in an image, in the order of the set. `model` is the hash of the detector's file.

    For a set of one pair also the near one: `xy`, `px` and its errors; `side` is null if the view sees both sides
    equally. For an uploaded image: the more visible one, and its side. `pair` is both, null for a detector with one
    position.
    """

    landmarks: list[LandmarkDetection]
    xy: Xy | None = None
    px: Xy | None = None
    side: Side | None = None
    sigma_px: float | None = None
    sigma_xy_px: Xy | None = None
    pair: PairDetection | None = None
    model: str
    ms: float


class Landmark(BaseModel):
    """One landmark; `sigma_mm` is the standard deviation of its error along one axis.

    For the run's own choice of method it is specific to the object. For a requested method it is the method's error on
    validation objects, null if not known. `covariance_mm2` is the error by direction, null if not known.
    `present` is false if the landmark does not exist on this object; `xyz` is then null. `accepted` and `reason` belong
    to the run's own choice of method; both are null for a requested method.
    """

    name: str
    xyz: Xyz | None
    sigma_mm: float | None
    covariance_mm2: tuple[Xyz, Xyz, Xyz] | None
    present: bool
    accepted: bool | None
    reason: str | None


class LandmarkInView(LandmarkDetection):
    """The detection of a landmark in a view of an object.

    `ray_mm` is the distance of its ray from the predicted point. `inlier` is true if this distance is within the limit
    of correct views; null before the lifter is trained. Both are null for a landmark without a position.
    """

    ray_mm: float | None
    inlier: bool | None


class ViewResponse(BaseModel):
    """The detection in one view; `side` is the side that the view sees, null if it sees both equally.

    For a set of one pair also the instance on `near_side`.
    """

    view: int
    side: Side | None
    landmarks: list[LandmarkInView]
    near_side: Side | None = None
    xy: Xy | None = None
    px: Xy | None = None
    sigma_px: float | None = None
    sigma_xy_px: Xy | None = None
    pair: PairDetection | None = None
    ray_mm: float | None = None
    inlier: bool | None = None


class ViewCamera(BaseModel):
    """One view's camera: `object_from_camera` is 4 x 4, row major, in mm; the number of the other lens is null."""

    view: int
    azimuth_deg: float
    elevation_deg: float
    object_from_camera: Annotated[list[float], Field(min_length=16, max_length=16)]
    half_height_mm: float | None
    yfov_deg: float | None


class Scene(BaseModel):
    """The data that a viewer draws of an uploaded mesh: the PNG of each view and the mesh as GLB, both in base64."""

    centre_mm: Xyz
    views: list[ViewCamera]
    images: list[str]
    glb: str


class Infer3dResponse(BaseModel):
    """All landmarks in the object frame, in the order of the set.

    `accepted` is whether all present landmarks are, and `reason` sums up why not; both are null for a requested method.
    `models` are the hashes of the models that the run has: detector, lifter, refiner. For a set of one pair also `left`
    and `right`.
    """

    unit: Literal["mm"]
    frame: Literal["object"]
    landmarks: list[Landmark]
    left: Landmark | None = None
    right: Landmark | None = None
    method: str
    accepted: bool | None
    reason: str | None
    model: str
    models: dict[str, str]
    views: list[ViewResponse]
    timings_ms: dict[str, float]
    scene: Scene | None = None


class Health(BaseModel):
    """The response of /healthz."""

    status: Literal["ok"] = "ok"


class ObjectList(BaseModel):
    """A page of the objects' ids, sorted."""

    total: int
    offset: int
    objects: list[str]


class StoredLandmark(BaseModel):
    """The true position of a landmark in a view, null if it is not labelled, and whether it is visible.

    `near` is whether it is the nearer one of its pair, null if that is not known.
    """

    name: str
    xy: Xy | None
    visible: bool
    near: bool | None


class StoredView(ViewCamera):
    """One rendered view with the true positions in it.

    For a set of one pair also the positions by side; `xy` is the near one.
    """

    landmarks: list[StoredLandmark]
    near_side: Side | None = None
    xy: Xy | None = None
    left_xy: Xy | None = None
    right_xy: Xy | None = None
    left_visible: bool | None = None
    right_visible: bool | None = None


class Label(BaseModel):
    """The label of a landmark: `xyz` is null if it is not labelled, or `absent` from the object."""

    name: str
    xyz: Xyz | None
    absent: bool


class ObjectResponse(BaseModel):
    """One object of the run, with its labels in the order of the set; for a set of one pair also by side."""

    object_id: str
    projection: Projection
    split: str
    centre_mm: Xyz
    landmarks: list[Label]
    left_mm: Xyz | None = None
    right_mm: Xyz | None = None
    alignment: dict[str, Any]
    views: list[StoredView]


class ErrorBody(BaseModel):
    """A code for programs, a line for people, and the request's id, which its header and the log have too."""

    code: str
    message: str
    request_id: str


class ErrorResponse(BaseModel):
    """Every response with a status from 400, except to a CORS preflight."""

    error: ErrorBody
