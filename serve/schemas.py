"""What goes in and out over HTTP. xy are image positions in [0, 1], px pixels, mm object-frame millimetres."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from featurelib.geometry import Projection

Side = Literal["left", "right"]
Unit = Literal["mm", "cm", "m", "inch"]
ObjectId = Annotated[str, Field(max_length=256)]
Method = Annotated[str, Field(max_length=64)]


class Strict(BaseModel):
    """Requests refuse unknown names: a misspelt option is an error, not a default."""

    model_config = ConfigDict(extra="forbid")


class InferRequest(Strict):
    """One pre-rendered view of an object of the run."""

    object_id: ObjectId
    view: int = Field(ge=0)
    projection: Projection | None = None


class PictureRequest(Strict):
    """What may stand beside an uploaded picture: whose detector looks at it."""

    projection: Projection | None = None


class UploadRequest(Strict):
    """What may stand beside an uploaded mesh: its unit (else the run's), and projection and method as of an object."""

    unit: Unit | None = None
    projection: Projection | None = None
    method: Method | None = None


class InferAnswer(BaseModel):
    """Where the near landmark is; `side` is null where the view sees both alike.

    Of an uploaded picture: where the landmark is that is seen best, and its side. `sigma_px` is the root mean square
    error of this view on validation objects (of all views, for an upload), null before the lifter is trained.
    `model` is the hash of the detector's file.
    """

    xy: tuple[float, float]
    px: tuple[float, float]
    side: Side | None
    sigma_px: float | None
    model: str
    ms: float


class Infer3dRequest(Strict):
    """An object of the run; projection and method (a name of the report) default to the run's own choice."""

    object_id: ObjectId
    projection: Projection | None = None
    method: Method | None = None


class Landmark(BaseModel):
    """One instance; `sigma_mm` is the standard deviation along an axis to expect of its error.

    That of the run's own choice is the object's; else it is the method's on validation objects, null if not known.
    """

    xyz: tuple[float, float, float]
    sigma_mm: float | None


class ViewAnswer(BaseModel):
    """What the detector said of one view."""

    view: int
    xy: tuple[float, float]
    px: tuple[float, float]
    side: Side | None
    sigma_px: float | None


class Infer3dAnswer(BaseModel):
    """Both landmarks in the object frame.

    `accepted` and `reason` are what the run says of its own choice; null for a method that was asked for.
    """

    unit: Literal["mm"] = "mm"
    frame: Literal["object"] = "object"
    left: Landmark
    right: Landmark
    method: str
    accepted: bool | None
    reason: str | None
    model: str
    views: list[ViewAnswer]
    timings_ms: dict[str, float]


class Health(BaseModel):
    """What /healthz says."""

    status: Literal["ok"] = "ok"


class ObjectList(BaseModel):
    """A page of the objects' ids, sorted."""

    total: int
    offset: int
    objects: list[str]


class KnownView(BaseModel):
    """One rendered view and the true near position in it."""

    view: int
    azimuth_deg: float
    elevation_deg: float
    near_side: Side
    xy: tuple[float, float]


class ObjectAnswer(BaseModel):
    """One object of the run."""

    object_id: str
    projection: Projection
    split: str
    centre_mm: tuple[float, float, float]
    left_mm: tuple[float, float, float] | None
    right_mm: tuple[float, float, float] | None
    alignment: dict[str, Any]
    views: list[KnownView]


class ErrorBody(BaseModel):
    """What went wrong: a code for programs, a line for people, and the request's id, as in its header and the logs."""

    code: str
    message: str
    request_id: str


class ErrorAnswer(BaseModel):
    """Every answer that is not 2xx."""

    error: ErrorBody
