"""Responses from the results of the deployments: positions in pixels, standard deviations, rays, scenes."""

from base64 import b64encode
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.shards import RenderSpec
from featurelib.datasets.shards.sandboxed import PreparedMesh
from featurelib.geometry import SIDES
from featurelib.meshes.writers.glb import write_glb
from featurelib.models.fusion.lines import WITHIN_SIGMAS, distances_mm
from featurelib.models.predictions import Detection
from serve.api.schemas import (
    Infer3dResponse,
    InferResponse,
    InstanceDetection,
    Landmark,
    PairDetection,
    Scene,
    ViewCamera,
    ViewResponse,
)
from serve.lifting import Lifted

Noise = NDArray[np.float64] | None
"""Root mean square errors of a detector in shares of the image, (v, 2) or of one view (2,); None if not known."""


def position_fields(xy: NDArray[np.floating], size: tuple[int, int]) -> dict[str, Any]:
    """Return the fields of a position (2,) in an image of width and height."""
    return {"xy": xy.tolist(), "px": (xy * size).tolist()}


def sigma_fields(sigma_xy: Noise, side: int) -> dict[str, Any]:
    """Return the fields of a standard deviation (2,) in shares of a square image's side."""
    if sigma_xy is None:
        return {"sigma_px": None, "sigma_xy_px": None}
    return {"sigma_px": side * float(np.hypot(*sigma_xy)), "sigma_xy_px": (side * sigma_xy).tolist()}


def landmark_detection(detection: Detection, view: int, size: tuple[int, int]) -> PairDetection | None:
    """Return both instances in one view; None from a detector that does not tell them apart."""
    if not np.isfinite(detection.visible[view]).all():
        return None
    left, right = (
        InstanceDetection(**position_fields(xy, size), visible=float(visible))
        for xy, visible in zip(detection.landmarks_xy[view], detection.visible[view], strict=True)
    )
    return PairDetection(left=left, right=right)


def infer_response(
    version: str, started: float, side: str | None, pair: PairDetection | None, fields: dict[str, Any]
) -> InferResponse:
    """Return the response of /infer, begun at a `perf_counter`, with the fields of its position and its spread."""
    own = {"side": side, "pair": pair, "model": version, "ms": 1000 * (perf_counter() - started)}
    return InferResponse.model_validate(own | fields)


def view_responses(
    spec: RenderSpec, noise_xy: Noise, centre_mm: NDArray[np.float64], detection: Detection, lifted: Lifted
) -> list[ViewResponse]:
    """Return the detection in each view, and the distance of the near instance's ray from the predicted point.

    A view is an inlier if the distance is at most WITHIN_SIGMAS standard deviations along an axis.
    """
    size = (spec.image_size, spec.image_size)
    responses = []
    for view, (camera, near) in enumerate(zip(spec.cameras(centre_mm), lifted.near or (), strict=True)):
        xy = detection.landmarks_xy[view, near]
        sigma_xy = None if noise_xy is None else noise_xy[view]
        ray_mm = float(distances_mm(camera.backproject(xy[None]), lifted.landmarks_mm[near])[0])
        fields = {
            "view": view,
            "side": spec.rig.views[view].near_side,
            "near_side": SIDES[near],
            "pair": landmark_detection(detection, view, size),
            "ray_mm": ray_mm,
            "inlier": None if sigma_xy is None else ray_mm <= WITHIN_SIGMAS * _axis_mm(sigma_xy, spec),
        }
        fields |= position_fields(xy, size) | sigma_fields(sigma_xy, spec.image_size)
        responses.append(ViewResponse.model_validate(fields))
    return responses


def scene_of(spec: RenderSpec, prepared: PreparedMesh) -> Scene:
    """Return the data that a viewer draws of an uploaded mesh."""
    lens: dict[str, Any] = {name: getattr(spec.lens, name, None) for name in ("half_height_mm", "yfov_deg")}
    centre_mm = prepared.mesh.centre_mm
    views = [
        ViewCamera(view=i, object_from_camera=camera.object_from_camera.ravel().tolist(), **vars(view), **lens)
        for i, (view, camera) in enumerate(zip(spec.rig.views, spec.cameras(centre_mm), strict=True))
    ]
    images = [b64encode(png).decode() for png in prepared.pngs]
    glb = b64encode(write_glb(prepared.mesh)).decode()
    return Scene(centre_mm=centre_mm.tolist(), views=views, images=images, glb=glb)


def infer_3d_response(
    lifted: Lifted, version: str, views: list[ViewResponse], timings_ms: dict[str, float], scene: Scene | None = None
) -> Infer3dResponse:
    """Return the response of /infer/3d."""
    covariances = lifted.covariance_mm2 or (None, None)
    left, right = (
        Landmark.model_validate({"xyz": xyz, "sigma_mm": sigma, "covariance_mm2": covariance})
        for xyz, sigma, covariance in zip(lifted.landmarks_mm, lifted.sigma_mm, covariances, strict=True)
    )
    return Infer3dResponse(
        left=left,
        right=right,
        method=lifted.method,
        accepted=lifted.uncertainty and lifted.uncertainty.accepted,
        reason=lifted.uncertainty and lifted.uncertainty.reason,
        model=version,
        models={"detector": version, **lifted.versions},
        views=views,
        timings_ms=timings_ms,
        scene=scene,
    )


def _axis_mm(sigma_xy: NDArray[np.float64], spec: RenderSpec) -> float:
    """Return the standard deviation along one axis of the image, in mm at the object."""
    return float(np.sqrt(np.mean(sigma_xy**2))) * spec.frame_mm
