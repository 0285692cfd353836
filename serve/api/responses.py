"""What the stages found, as what is sent: positions in pixels, spreads, rays beside the answer, scenes."""

from base64 import b64encode
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.shards import RenderSpec
from featurelib.datasets.shards.sandboxed import PreparedMesh
from featurelib.geometry import SIDES
from featurelib.meshes.writers.glb import write_glb
from featurelib.models.fusion.lines import WITHIN_SIGMAS, distances_mm
from featurelib.models.requests import Seen
from serve.api.schemas import Infer3dAnswer, InstanceDetection, Landmark, PairDetection, Scene, ViewAnswer, ViewCamera
from serve.deployments import Lifted

Noise = NDArray[np.float64] | None
"""Root mean square errors of a detector in shares of the image, (v, 2) or of one view (2,); None if not known."""


def place(xy: NDArray[np.floating], size: tuple[int, int]) -> dict[str, Any]:
    """Return the fields of a position (2,) in an image of width and height."""
    return {"xy": xy.tolist(), "px": (xy * size).tolist()}


def spread(sigma_xy: Noise, side: int) -> dict[str, Any]:
    """Return the fields of a standard deviation (2,) in shares of a square image's side."""
    if sigma_xy is None:
        return {"sigma_px": None, "sigma_xy_px": None}
    return {"sigma_px": side * float(np.hypot(*sigma_xy)), "sigma_xy_px": (side * sigma_xy).tolist()}


def pair_detection(seen: Seen, view: int, size: tuple[int, int]) -> PairDetection | None:
    """Return both instances in one view; None from a detector that does not tell them apart."""
    if not np.isfinite(seen.visible[view]).all():
        return None
    left, right = (
        InstanceDetection(**place(xy, size), visible=float(visible))
        for xy, visible in zip(seen.pair_xy[view], seen.visible[view], strict=True)
    )
    return PairDetection(left=left, right=right)


def view_answers(
    spec: RenderSpec, noise_xy: Noise, centre_mm: NDArray[np.float64], seen: Seen, lifted: Lifted
) -> list[ViewAnswer]:
    """Return what was seen in each view, and how far the near instance's ray passes by the answer.

    A view is an inlier if that is within WITHIN_SIGMAS of its standard deviation along an axis.
    """
    size = (spec.image_size, spec.image_size)
    answers = []
    for view, (camera, near) in enumerate(zip(spec.cameras(centre_mm), lifted.near or (), strict=True)):
        xy = seen.pair_xy[view, near]
        sigma_xy = None if noise_xy is None else noise_xy[view]
        ray_mm = float(distances_mm(camera.backproject(xy[None]), lifted.pair_mm[near])[0])
        fields = {
            "view": view,
            "side": spec.rig.views[view].near_side,
            "near_side": SIDES[near],
            "pair": pair_detection(seen, view, size),
            "ray_mm": ray_mm,
            "inlier": None if sigma_xy is None else ray_mm <= WITHIN_SIGMAS * _axis_mm(sigma_xy, spec),
        }
        answers.append(ViewAnswer.model_validate(fields | place(xy, size) | spread(sigma_xy, spec.image_size)))
    return answers


def scene_of(spec: RenderSpec, look: PreparedMesh) -> Scene:
    """Return what a viewer draws of an uploaded mesh."""
    lens: dict[str, Any] = {name: getattr(spec.lens, name, None) for name in ("half_height_mm", "yfov_deg")}
    centre_mm = look.mesh.centre_mm
    views = [
        ViewCamera(view=i, object_from_camera=camera.object_from_camera.ravel().tolist(), **vars(view), **lens)
        for i, (view, camera) in enumerate(zip(spec.rig.views, spec.cameras(centre_mm), strict=True))
    ]
    images = [b64encode(png).decode() for png in look.pngs]
    glb = b64encode(write_glb(look.mesh)).decode()
    return Scene(centre_mm=centre_mm.tolist(), views=views, images=images, glb=glb)


def answer_3d(
    lifted: Lifted, version: str, views: list[ViewAnswer], timings_ms: dict[str, float], scene: Scene | None = None
) -> Infer3dAnswer:
    """Return the answer of /infer/3d."""
    left, right = (
        Landmark.model_validate({"xyz": xyz, "sigma_mm": sigma, "covariance_mm2": covariance})
        for xyz, sigma, covariance in zip(
            lifted.pair_mm, lifted.sigma_mm, lifted.covariance_mm2 or (None, None), strict=True
        )
    )
    return Infer3dAnswer(
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
