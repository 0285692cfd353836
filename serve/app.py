"""The HTTP front of a run on Ray Serve. `build_app` makes the graph from typed settings; nothing happens on import."""

import os
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import LoggingConfig
from starlette.types import ASGIApp

from serve.api.middleware import Middleware, MiddlewareRules, digest_of
from serve.api.routes import build_web
from serve.deployments import DetectorStage, LifterStage, RendererStage
from serve.metrics import Meters
from serve.orchestrator import Orchestrator
from serve.settings import AppSettings, StageSettings

TOKEN_VARIABLE = "FEATURELIB_TOKEN"  # noqa: S105 (its name, not a token)

MAX_ONGOING = 1000
"""Requests that a replica may hold; Serve's own default of 5 would starve batches. The gates bound what is under way,
so that a refusal has the contract's form; Serve's own would be plain text."""


@serve.deployment
@serve.ingress()
class Ingress:
    """The door and the routes, over the stages."""

    def __init__(
        self,
        settings: AppSettings,
        token_sha256: bytes | None,
        detector: DeploymentHandle | None,
        lifter: DeploymentHandle | None,
        renderer: DeploymentHandle,
    ) -> None:
        """Take the stages, and open the run's catalogue."""
        self.settings = settings
        self.rules = MiddlewareRules(token_sha256, settings.cors_origins, settings.limits.body_mb * 2**20)
        self.meters = Meters()
        self.graph = Orchestrator(settings, detector, lifter, renderer, self.meters)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Return the application that Serve gives this replica's requests to."""
        web = build_web(self.graph, self.settings.limits, with_token=self.rules.token_sha256 is not None)
        bodies = self.graph.gate("bodies", self.settings.queues.bodies_mb * 2**20)
        return Middleware(web, self.rules, bodies, self.meters)


def build_app(settings: AppSettings) -> serve.Application:
    """Return the graph: Ingress -> RendererStage, DetectorStage, LifterStage; the last two only where there is a run.

    Where a version replaces another, its replicas are started beside the old ones, which end what they have begun.
    """
    detector = _deployment(DetectorStage, settings.detector, MAX_ONGOING)
    lifter = _deployment(LifterStage, settings.lifter, MAX_ONGOING)
    renderer = _deployment(RendererStage, settings.renderer, 1)
    front = _deployment(Ingress, settings.front, MAX_ONGOING)
    token = settings.token or os.environ.get(TOKEN_VARIABLE) or None
    run, dataset, version = settings.run, settings.dataset, settings.version
    app: serve.Application = front.bind(
        settings.model_copy(update={"token": None}),  # what replicas know of it is its hash
        digest_of(token),
        detector.bind(run, version) if run else None,
        lifter.bind(run, dataset, version) if run else None,
        renderer.bind(run, dataset, settings.limits, version),
    )
    return app


def _deployment(stage: Any, settings: StageSettings, ongoing: int) -> Any:
    """Return a stage with its settings; each replica holds at most `ongoing` requests."""
    quiet = LoggingConfig(enable_access_log=False)  # the door writes one line a request
    return stage.options(
        max_ongoing_requests=ongoing, max_surge_percent=100, logging_config=quiet, **settings.options()
    )
