"""How the graph is built: typed settings, from `featurelib serve` flags or a YAML's `args`."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Settings(BaseModel):
    """Unknown names are refused: a misspelt limit is an error, not a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StageSettings(Settings):
    """One stage's replicas and what Ray sets aside for each.

    replicas: how many, or how few where `max_replicas` lets the stage grow under load.
    ongoing: requests that each replica is meant to work on before another one is started.
    cpus, gpus: that Ray sets aside for each.
    """

    replicas: int = Field(default=1, ge=1)
    max_replicas: int | None = Field(default=None, ge=1)
    ongoing: float = Field(default=4.0, gt=0)
    cpus: float = Field(default=0.1, gt=0)
    gpus: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _bounds(self) -> "StageSettings":
        if self.max_replicas is not None and self.max_replicas < self.replicas:
            raise ValueError(f"max_replicas is {self.max_replicas}; expected at least replicas, {self.replicas}")
        return self

    def options(self) -> dict[str, Any]:
        """Return the options of a Serve deployment."""
        actor = {"ray_actor_options": {"num_cpus": self.cpus, "num_gpus": self.gpus}}
        if self.max_replicas is None:
            return {"num_replicas": self.replicas, **actor}
        bounds = {"min_replicas": self.replicas, "max_replicas": self.max_replicas}
        return {"autoscaling_config": {**bounds, "target_ongoing_requests": self.ongoing}, **actor}


class LimitSettings(Settings):
    """What a request may bring. Whatever is beyond is refused before it costs memory or time.

    body_mb: a whole upload, in MiB; 32 hold a binary PLY of 1.7 million faces. json_kb: a JSON body, in KiB.
    image_pixels: width times height of an image, read from its header before it is decoded.
    mesh_faces: triangles of a mesh. texture_pixels: of all its base colour textures together.
    mesh_seconds, mesh_memory_mb: for reading and rendering a mesh, in its child process.
    body_seconds: for a body to arrive.
    """

    body_mb: int = Field(default=32, ge=1)
    json_kb: int = Field(default=64, ge=1)
    picture_pixels: int = Field(default=4096 * 4096, ge=1)
    mesh_faces: int = Field(default=1_000_000, ge=1)
    texture_pixels: int = Field(default=4096 * 4096, ge=1)
    mesh_seconds: float = Field(default=20.0, gt=0)
    mesh_memory_mb: int = Field(default=2048, ge=256)
    body_seconds: float = Field(default=30.0, gt=0)


class QueueSettings(Settings):
    """How much may be under way in one front; more is answered with 503 and Retry-After, at once.

    bodies_mb: MiB of bodies that are read or worked on. images: that wait for the detector or are in it.
    lifts: objects in the lifter. meshes: uploads in the renderers. retry_s: what Retry-After says.
    """

    bodies_mb: int = Field(default=256, ge=1)
    images: int = Field(default=180, ge=9)
    lifts: int = Field(default=16, ge=1)
    meshes: int = Field(default=8, ge=1)
    retry_s: int = Field(default=1, ge=0)


class AppSettings(Settings):
    """Settings of the graph.

    run: folder or s3:// URI; none where a dataset is only labelled. dataset: where its meshes are; default: where the
        rendering found them. label: whether clients may save labels to the dataset.
    token: what clients must send as `Authorization: Bearer`; default: FEATURELIB_TOKEN, else no token is asked for.
    cors_origins: web pages of other servers that may ask, such as https://studio.example; none are by default.
    version: content hash of the run's models; where it changes, every replica is replaced by one that has the new.
    """

    run: str | None = None
    dataset: str | None = None
    label: bool = False
    token: str | None = Field(default=None, min_length=8, repr=False)
    cors_origins: tuple[str, ...] = ()
    version: str = ""
    front: StageSettings = StageSettings()
    detector: StageSettings = StageSettings()
    lifter: StageSettings = StageSettings()
    renderer: StageSettings = StageSettings()
    limits: LimitSettings = LimitSettings()
    queues: QueueSettings = QueueSettings()

    @model_validator(mode="after")
    def _something(self) -> "AppSettings":
        if self.run is None and not (self.label and self.dataset):
            raise ValueError("expected a run; only labelling a dataset needs none")
        return self
