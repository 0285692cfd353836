"""The typed settings of the server, from the flags of `featurelib serve` or the `args` of a YAML file."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Settings(BaseModel):
    """Settings that reject unknown names, so that a misspelt limit is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StageSettings(Settings):
    """The replicas of one deployment and their resources.

    replicas: their number; with `max_replicas` the smallest number, and Ray Serve adds more under load.
    ongoing: concurrent requests per replica above which another one is started.
    cpus, gpus: reserved by Ray per replica.
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
    """Limits of one request. A request beyond a limit is rejected before it costs memory or time.

    body_mb: size of a body, in MiB; 32 hold a binary PLY of 1.7 million faces. json_kb: size of a JSON body, in KiB.
    image_pixels: width times height of an image, read from its header before it is decoded.
    mesh_faces: triangles of a mesh. texture_pixels: of all its base colour textures together.
    mesh_seconds, mesh_memory_mb: for preparing a mesh, in its sandboxed process.
    body_seconds: time for a body to arrive.
    """

    body_mb: int = Field(default=32, ge=1)
    json_kb: int = Field(default=64, ge=1)
    image_pixels: int = Field(default=4096 * 4096, ge=1)
    mesh_faces: int = Field(default=1_000_000, ge=1)
    texture_pixels: int = Field(default=4096 * 4096, ge=1)
    mesh_seconds: float = Field(default=20.0, gt=0)
    mesh_memory_mb: int = Field(default=2048, ge=256)
    body_seconds: float = Field(default=30.0, gt=0)


class QueueSettings(Settings):
    """Limits of concurrent work in one ingress replica; a request beyond them gets 503 and Retry-After at once.

    bodies_mb: MiB of bodies in memory. images: in the detector or waiting for it. lifts: objects in the lifter.
    meshes: uploads in the renderers. retry_s: value of Retry-After.
    """

    bodies_mb: int = Field(default=256, ge=1)
    images: int = Field(default=180, ge=9)
    lifts: int = Field(default=16, ge=1)
    meshes: int = Field(default=8, ge=1)
    retry_s: int = Field(default=1, ge=0)


class AppSettings(Settings):
    """Settings of the whole server.

    run: folder or s3:// URI; none to only label a dataset. dataset: location of the meshes, by default the one that was
        rendered. label: whether clients may save labels to the dataset.
    token: required as `Authorization: Bearer`; by default FEATURELIB_TOKEN, and without that no token is required.
    cors_origins: origins whose web pages may send requests, such as https://studio.example; by default none.
    version: content hash of the run's models; when it changes, Ray Serve replaces the replicas.
    """

    run: str | None = None
    dataset: str | None = None
    label: bool = False
    token: str | None = Field(default=None, min_length=8, repr=False)
    cors_origins: tuple[str, ...] = ()
    version: str = ""
    ingress: StageSettings = StageSettings()
    detector: StageSettings = StageSettings()
    lifter: StageSettings = StageSettings()
    renderer: StageSettings = StageSettings()
    limits: LimitSettings = LimitSettings()
    queues: QueueSettings = QueueSettings()

    @model_validator(mode="after")
    def _something(self) -> "AppSettings":
        if self.run is None and not (self.label and self.dataset):
            raise ValueError("expected a run; without one, only a dataset can be labelled")
        return self
