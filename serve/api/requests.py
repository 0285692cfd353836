"""Requests as JSON, and the options that a form has beside its file."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from featurelib.geometry import Projection

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


class Infer3dRequest(Strict):
    """An object of the run; projection and method (a name of the report) default to the run's own choice."""

    object_id: ObjectId
    projection: Projection | None = None
    method: Method | None = None
