"""What goes in and out over HTTP. xy are image positions in [0, 1], px pixels, mm object-frame millimetres."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from featurelib.geometry import Projection

Side = Literal["left", "right"]
Unit = Literal["mm", "cm", "m", "inch"]
ObjectId = Annotated[str, Field(max_length=256)]
Method = Annotated[str, Field(max_length=64)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Strict(BaseModel):
    """Requests refuse unknown names: a misspelt option is an error, not a default."""

    model_config = ConfigDict(extra="forbid")


class InferRequest(Strict):
    """One pre-rendered view of an object of the run."""

    object_id: ObjectId
    view: int = Field(ge=0)
    projection: Projection | None = None


class ImageRequest(Strict):
    """What may stand beside an uploaded image: whose detector looks at it."""

    projection: Projection | None = None


class UploadRequest(Strict):
    """What may stand beside an uploaded mesh: its unit (else the run's), and projection and method as of an object.

    `scene` asks for what a viewer draws: the images and the mesh.
    """

    unit: Unit | None = None
    projection: Projection | None = None
    method: Method | None = None
    scene: bool = False


class InstanceDetection(BaseModel):
    """Where the detector sees one instance, hidden or not, and how sure it is that it is not hidden, 0 to 1."""

    xy: tuple[float, float]
    px: tuple[float, float]
    visible: float


class PairDetection(BaseModel):
    """Both instances in one image."""

    left: InstanceDetection
    right: InstanceDetection


class InferAnswer(BaseModel):
    """Where the near landmark is; `side` is null where the view sees both alike.

    Of an uploaded image: where the landmark is that is seen best, and its side. `sigma_px` is the root mean square
    error of this view on validation objects (of all views, for an upload), null before the lifter is trained;
    `sigma_xy_px` are its parts along the image's axes. `pair` is null for a detector that gives one position.
    `model` is the hash of the detector's file.
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
    """One instance; `sigma_mm` is the standard deviation along an axis to expect of its error.

    That of the run's own choice is the object's; else it is the method's on validation objects, null if not known.
    `covariance_mm2` says it by direction, where that is known.
    """

    xyz: tuple[float, float, float]
    sigma_mm: float | None
    covariance_mm2: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]] | None


class ViewAnswer(BaseModel):
    """What the detector said of one view.

    `xy` is the instance on `near_side`. `ray_mm` is how far the ray through it passes by the answer's landmark, and
    `inlier` whether an honest view's would; null before the lifter is trained.
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
    """One view's camera: `object_from_camera` 4 x 4 row major, mm, and the lens; the other lens's number is null."""

    view: int
    azimuth_deg: float
    elevation_deg: float
    object_from_camera: Annotated[list[float], Field(min_length=16, max_length=16)]
    half_height_mm: float | None
    yfov_deg: float | None


class Scene(BaseModel):
    """What a viewer draws of an uploaded mesh: the PNG of each view and the mesh as GLB, both in base64."""

    centre_mm: tuple[float, float, float]
    views: list[ViewCamera]
    images: list[str]
    glb: str


class Infer3dAnswer(BaseModel):
    """Both landmarks in the object frame.

    `accepted` and `reason` are what the run says of its own choice; null for a method that was asked for. `models` are
    the hashes of the stages that the run has: detector, lifter, refiner.
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
    views: list[ViewAnswer]
    timings_ms: dict[str, float]
    scene: Scene | None = None


class Health(BaseModel):
    """What /healthz says."""

    status: Literal["ok"] = "ok"


class ObjectList(BaseModel):
    """A page of the objects' ids, sorted."""

    total: int
    offset: int
    objects: list[str]


class KnownView(ViewCamera):
    """One rendered view, the true positions in it and whether they are hidden; `xy` is the near one."""

    near_side: Side
    xy: tuple[float, float]
    left_xy: tuple[float, float]
    right_xy: tuple[float, float]
    left_visible: bool
    right_visible: bool


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


class About(BaseModel):
    """What is served. `landmark` is the dataset's name for it, null where that is not at hand.

    `projections`: first the one whose models erred least. `labelling`: whether labels may be saved.
    """

    landmark: str | None
    projections: list[Projection]
    labelling: bool


class Score(BaseModel):
    """Of one object of the report, in mm, the worse of both instances.

    `error_mm` is that of the run's chosen method; `disagreement_mm` how far it lies from the registered mean shape.
    """

    error_mm: float | None
    disagreement_mm: float | None


class Scores(BaseModel):
    """The report's objects, if there is a report."""

    projection: Projection
    method: str | None
    objects: dict[str, Score]


class LabelledObject(BaseModel):
    """Whether an object of the dataset has a label."""

    object_id: str
    labelled: bool


class LabelList(BaseModel):
    """A page of the dataset's objects, sorted."""

    total: int
    offset: int
    objects: list[LabelledObject]


Xyz = Annotated[tuple[Finite, Finite, Finite], Field(description="millimetres, object frame")]


class LabelRequest(Strict):
    """Both landmarks, and the version of the label that they replace."""

    left_mm: Xyz
    right_mm: Xyz
    version: Annotated[str, Field(max_length=64)]


class LabelAnswer(BaseModel):
    """An object's label in the object frame; null without one. `version` changes with it."""

    object_id: str
    left_mm: tuple[float, float, float] | None
    right_mm: tuple[float, float, float] | None
    version: str


class ErrorBody(BaseModel):
    """What went wrong: a code for programs, a line for people, and the request's id, as in its header and the logs."""

    code: str
    message: str
    request_id: str


class ErrorAnswer(BaseModel):
    """Every answer that is not 2xx."""

    error: ErrorBody
