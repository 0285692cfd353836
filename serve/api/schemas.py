"""Requests and responses. xy are image positions in [0, 1], px pixels, mm millimetres in the object frame."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from featurelib.geometry import Projection

Side = Literal["left", "right"]
Unit = Literal["mm", "cm", "m", "inch"]
ObjectId = Annotated[str, Field(max_length=256)]
Method = Annotated[str, Field(max_length=64)]


class Strict(BaseModel):
    """A request that rejects unknown names, so that a misspelt option is an error."""

    model_config = ConfigDict(extra="forbid")


class InferRequest(Strict):
    """One rendered view of an object of the run."""

    object_id: ObjectId
    view: int = Field(ge=0)
    projection: Projection | None = None


class ImageOptions(Strict):
    """Options of an uploaded image."""

    projection: Projection | None = None


class MeshOptions(Strict):
    """Options of an uploaded mesh; `unit` defaults to the run's, `projection` and `method` as for an object.

    `scene` adds the data of a viewer to the response: the images and the mesh.
    """

    unit: Unit | None = None
    projection: Projection | None = None
    method: Method | None = None
    scene: bool = False


class InstanceDetection(BaseModel):
    """The detected position of one instance, occluded or not, and the probability that it is visible."""

    xy: tuple[float, float]
    px: tuple[float, float]
    visible: float


class PairDetection(BaseModel):
    """Both instances in one image."""

    left: InstanceDetection
    right: InstanceDetection


class InferResponse(BaseModel):
    """The near landmark in a view; `side` is null if the view sees both sides equally.

    For an uploaded image: the most visible instance, and its side. `sigma_px` is the root mean square error of this
    view on validation objects (of all views, for an upload), null before the lifter is trained; `sigma_xy_px` are its
    parts along the image axes. `pair` is null for a detector with one position. `model` is the hash of the detector's
    file.
    """

    xy: tuple[float, float]
    px: tuple[float, float]
    side: Side | None
    sigma_px: float | None
    sigma_xy_px: tuple[float, float] | None
    pair: PairDetection | None
    model: str
    ms: float


class Infer3dRequest(Strict):
    """An object of the run; projection and method (a name of the report) default to the run's own choice."""

    object_id: ObjectId
    projection: Projection | None = None
    method: Method | None = None


class Landmark(BaseModel):
    """One instance; `sigma_mm` is the standard deviation of its error along one axis.

    For the run's own choice of method it is specific to the object. For a requested method it is the method's error on
    validation objects, null if not known. `covariance_mm2` is the error by direction, null if not known.
    """

    xyz: tuple[float, float, float]
    sigma_mm: float | None
    covariance_mm2: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]] | None


class ViewResponse(BaseModel):
    """The detection in one view.

    `xy` is the instance on `near_side`. `ray_mm` is the distance of its ray from the predicted point. `inlier` is true
    if this distance is within the limit of correct views; null before the lifter is trained.
    """

    view: int
    xy: tuple[float, float]
    px: tuple[float, float]
    side: Side | None
    near_side: Side
    sigma_px: float | None
    sigma_xy_px: tuple[float, float] | None
    pair: PairDetection | None
    ray_mm: float
    inlier: bool | None


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

    centre_mm: tuple[float, float, float]
    views: list[ViewCamera]
    images: list[str]
    glb: str


class Infer3dResponse(BaseModel):
    """Both landmarks in the object frame.

    `accepted` and `reason` belong to the run's own choice of method; both are null for a requested method. `models` are
    the hashes of the models that the run has: detector, lifter, refiner.
    """

    unit: Literal["mm"] = "mm"
    frame: Literal["object"] = "object"
    left: Landmark
    right: Landmark
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


class StoredView(ViewCamera):
    """One rendered view, the true positions in it and whether they are visible; `xy` is the near one."""

    near_side: Side
    xy: tuple[float, float]
    left_xy: tuple[float, float]
    right_xy: tuple[float, float]
    left_visible: bool
    right_visible: bool


class ObjectResponse(BaseModel):
    """One object of the run."""

    object_id: str
    projection: Projection
    split: str
    centre_mm: tuple[float, float, float]
    left_mm: tuple[float, float, float] | None
    right_mm: tuple[float, float, float] | None
    alignment: dict[str, Any]
    views: list[StoredView]


class About(BaseModel):
    """What the server serves.

    `landmark` is the dataset's name for it, null if the dataset cannot be opened. `projections` begins with that of
    the smallest error. `labelling` is whether labels can be saved.
    """

    landmark: str | None
    projections: list[Projection]
    labelling: bool


class ErrorBody(BaseModel):
    """A code for programs, a line for people, and the request's id, which its header and the log have too."""

    code: str
    message: str
    request_id: str


class ErrorResponse(BaseModel):
    """Every response with a status from 400, except to a CORS preflight."""

    error: ErrorBody
