"""Responses from the results of the deployments: positions in pixels, standard deviations, rays, scenes."""

from base64 import b64encode
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurelib.datasets.shards import RenderSpec
from featurelib.datasets.shards.sandboxed import PreparedMesh
from featurelib.geometry import SIDES, LandmarkSet, Rays
from featurelib.meshes.writers.glb import write_glb
from featurelib.models.fusion.lines import WITHIN_SIGMAS
from featurelib.models.predictions import Detection
from serve.api.landmark_fields import (
    MM_DECIMALS,
    XY_DECIMALS,
    Fields,
    FoundInImage,
    Noise,
    listed,
    near_flags,
    rows_of,
)
from serve.api.schemas import Infer3dResponse, InferResponse, ObjectResponse, Scene, ViewCamera
from serve.lifting import Lifted


def infer_response(version: str, started: float, side: str | None, found: FoundInImage) -> InferResponse:
    """Return the response of /infer, begun at a `perf_counter`; `side` is that of the near one of a single pair."""
    of_pair = {"side": side, **found.pair_fields()} if found.landmarks.is_single_pair else {}
    own = {"landmarks": found.fields(), "model": version, "ms": 1000 * (perf_counter() - started)}
    return InferResponse.model_validate(own | of_pair)


def view_fields(
    spec: RenderSpec,
    landmarks: LandmarkSet,
    noise_xy: Noise,
    centre_mm: NDArray[np.float64],
    detection: Detection,
    lifted: Lifted,
) -> list[Fields]:
    """Return the fields of each ViewResponse: the detection, and the distances of the rays from the predicted points.

    A landmark's view is an inlier if the distance is at most WITHIN_SIGMAS standard deviations along an axis.
    """
    size = (spec.image_size, spec.image_size)
    views = []
    for view, (camera, near) in enumerate(zip(spec.cameras(centre_mm), lifted.near, strict=True)):
        sigma_xy = None if noise_xy is None else noise_xy[:, view]
        xy, visible = detection.landmarks_xy[view], detection.visible[view]
        found = FoundInImage(landmarks, xy, visible, near, sigma_xy, size, spec.image_size)
        ray_mm = _ray_mm(camera.backproject(xy), lifted.landmarks_mm)
        limit_mm = _limit_mm(found, spec)
        of_landmarks = [
            {**fields, **_ray_fields(fields, mm, limit)}
            for fields, mm, limit in zip(found.fields(), ray_mm, limit_mm, strict=True)
        ]
        fields: Fields = {"view": view, "side": spec.rig.views[view].near_side, "landmarks": of_landmarks}
        if landmarks.is_single_pair:
            index = max(0, int(near[0]))
            fields |= {"near_side": SIDES[index], **found.pair_fields()}
            fields |= _ray_fields(fields, ray_mm[index], limit_mm[index])
        views.append(fields)
    return views


def _ray_mm(rays: Rays, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance (k,) of each point (k, 3) from its own ray."""
    return np.asarray(np.linalg.norm(np.cross(points_mm - rays.origins_mm, rays.directions), axis=-1))


def _limit_mm(found: FoundInImage, spec: RenderSpec) -> NDArray[np.float64]:
    """Return the largest distance (k,) of an inlier, in mm at the object; NaN if not known."""
    if found.sigma_xy is None:
        return np.full(len(found.xy), np.nan)
    axis = np.sqrt(np.mean(found.sigma_xy**2, axis=-1))
    return np.asarray(WITHIN_SIGMAS * axis[found.landmarks.slot_of] * spec.frame_mm)


def _ray_fields(fields: Fields, ray_mm: float, limit_mm: float) -> Fields:
    if fields["xy"] is None or not np.isfinite(ray_mm):
        return {"ray_mm": None, "inlier": None}
    return {
        "ray_mm": round(float(ray_mm), MM_DECIMALS),
        "inlier": bool(ray_mm <= limit_mm) if np.isfinite(limit_mm) else None,
    }


def scene_of(spec: RenderSpec, prepared: PreparedMesh) -> Scene:
    """Return the data that a viewer draws of an uploaded mesh."""
    lens: Fields = {name: getattr(spec.lens, name, None) for name in ("half_height_mm", "yfov_deg")}
    centre_mm = prepared.mesh.centre_mm
    views = [
        ViewCamera(view=i, object_from_camera=camera.object_from_camera.ravel().tolist(), **vars(view), **lens)
        for i, (view, camera) in enumerate(zip(spec.rig.views, spec.cameras(centre_mm), strict=True))
    ]
    images = [b64encode(png).decode() for png in prepared.pngs]
    glb = b64encode(write_glb(prepared.mesh)).decode()
    return Scene(centre_mm=centre_mm.tolist(), views=views, images=images, glb=glb)


def object_response(spec: RenderSpec, landmarks: LandmarkSet, rows: Sequence[Fields]) -> ObjectResponse:
    """Return the response of /objects/{object_id}, from its rows of schemas.shard_schema."""
    first = rows[0]
    landmarks_mm = listed(np.reshape(first["landmarks_mm"], (-1, 3)))
    columns = {"name": landmarks.names, "xyz": landmarks_mm, "absent": first["landmarks_absent"]}
    of_pair = dict(zip(("left_mm", "right_mm"), landmarks_mm, strict=True)) if landmarks.is_single_pair else {}
    views = [{**row, **vars(spec.rig.views[row["view"]]), **_true_fields(landmarks, row)} for row in rows]
    return ObjectResponse.model_validate(
        {
            **{name: first[name] for name in ("object_id", "projection", "split", "centre_mm")},
            "landmarks": rows_of(columns),
            **of_pair,
            "alignment": {"unit": spec.unit, **spec.alignment.to_dict()},
            "views": views,
        }
    )


def _true_fields(landmarks: LandmarkSet, row: Fields) -> Fields:
    """Return the fields of a StoredView besides its camera."""
    xy, visible = listed(np.reshape(row["landmarks_xy"], (-1, 2)), XY_DECIMALS), row["landmarks_visible"]
    near = near_flags(landmarks, row["near"])
    columns = {"name": landmarks.names, "xy": xy, "visible": visible, "near": near}
    fields: Fields = {"landmarks": rows_of(columns)}
    if landmarks.is_single_pair:
        index = row["near"][0]
        fields |= {"near_side": SIDES[index], "xy": xy[index]} if index >= 0 else {"near_side": None, "xy": None}
        fields |= {f"{side}_xy": one for side, one in zip(SIDES, xy, strict=True)}
        fields |= {f"{side}_visible": one for side, one in zip(SIDES, visible, strict=True)}
    return fields


def infer_3d_response(
    lifted: Lifted,
    landmarks: LandmarkSet,
    version: str,
    views: list[Fields],
    timings_ms: dict[str, float],
    scene: Scene | None = None,
) -> Infer3dResponse:
    """Return the response of /infer/3d."""
    count, uncertainty = len(landmarks.names), lifted.uncertainty
    no_covariance = np.full((count, 3, 3), np.nan)
    columns: dict[str, Sequence[Any]] = {
        "name": landmarks.names,
        "xyz": listed(lifted.landmarks_mm),
        "sigma_mm": listed(lifted.sigma_mm),
        "covariance_mm2": listed(uncertainty.covariance_mm2 if uncertainty else no_covariance),
        "present": lifted.is_present.tolist(),
        "accepted": uncertainty.accepted.tolist() if uncertainty else [None] * count,
        "reason": uncertainty.reasons if uncertainty else [None] * count,
    }
    rows = rows_of(columns)
    return Infer3dResponse.model_validate(
        {
            "unit": "mm",
            "frame": "object",
            "landmarks": rows,
            **(dict(zip(SIDES, rows, strict=True)) if landmarks.is_single_pair else {}),
            "method": lifted.method,
            "accepted": uncertainty and uncertainty.accepted_all,
            "reason": uncertainty and uncertainty.summary(landmarks.names),
            "model": version,
            "models": {"detector": version, **lifted.versions},
            "views": views,
            "timings_ms": timings_ms,
            "scene": scene,
        }
    )
