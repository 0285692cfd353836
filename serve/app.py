"""The Ray Serve application of a run. `build_app` binds the deployments from typed settings; importing does nothing."""

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
"""Concurrent requests per replica; Ray Serve's default of 5 would keep batches small. Our own limiters bound the work,
because Ray Serve rejects requests in plain text."""


@serve.deployment
@serve.ingress()
class Ingress:
    """The middleware and the routes, in front of the other deployments."""

    def __init__(
        self,
        settings: AppSettings,
        token_sha256: bytes | None,
        detector: DeploymentHandle | None,
        lifter: DeploymentHandle | None,
        renderer: DeploymentHandle,
    ) -> None:
        """Take the other deployments, and open the run's index."""
        self.settings = settings
        self.rules = MiddlewareRules(token_sha256, settings.cors_origins, settings.limits.body_mb * 2**20)
        self.meters = Meters()
        self.graph = Orchestrator(settings, detector, lifter, renderer, self.meters)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Return the ASGI application of this replica; Ray Serve calls it."""
        web = build_web(self.graph, self.settings.limits, with_token=self.rules.token_sha256 is not None)
        bodies = self.graph.limiter("bodies", self.settings.queues.bodies_mb * 2**20)
        return Middleware(web, self.rules, bodies, self.meters)


def build_app(settings: AppSettings) -> serve.Application:
    """Return the graph: Ingress -> RendererStage, DetectorStage, LifterStage; the last two only with a run.

    When a version replaces another, new replicas start first; then the old ones finish their requests and stop.
    """
    detector = _deployment(DetectorStage, settings.detector, MAX_ONGOING)
    lifter = _deployment(LifterStage, settings.lifter, MAX_ONGOING)
    renderer = _deployment(RendererStage, settings.renderer, 1)
    ingress = _deployment(Ingress, settings.ingress, MAX_ONGOING)
    token = settings.token or os.environ.get(TOKEN_VARIABLE) or None
    run, dataset, version = settings.run, settings.dataset, settings.version
    app: serve.Application = ingress.bind(
        settings.model_copy(update={"token": None}),  # replicas get its hash only
        digest_of(token),
        detector.bind(run, version) if run else None,
        lifter.bind(run, dataset, version) if run else None,
        renderer.bind(run, dataset, settings.limits, version),
    )
    return app


def _deployment(stage: Any, settings: StageSettings, max_ongoing: int) -> Any:
    """Return a deployment with its settings; each replica holds at most `max_ongoing` requests."""
    quiet = LoggingConfig(enable_access_log=False)  # the middleware writes one line per request
    return stage.options(
        max_ongoing_requests=max_ongoing, max_surge_percent=100, logging_config=quiet, **settings.options()
    )
