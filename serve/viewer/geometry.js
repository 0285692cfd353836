// Cameras and positions as in docs/conventions.md. A camera is a view of the API: object_from_camera (4 x 4, row major,
// mm), and half_height_mm or yfov_deg. Points are [x, y, z], object frame, mm; xy are from 0 to 1.

/** Radii in standard deviations that contain 68 % of a Gaussian: roots of the chi-squared quantiles for 3 and 2 dimensions. */
export const SPREAD_68 = { space: 1.872, plane: 1.51 };

/** Half the image's height in mm at a depth along the camera's axis. */
export function halfHeightAt(camera, depth) {
  return camera.half_height_mm ?? depth * Math.tan((camera.yfov_deg * Math.PI) / 360);
}

/** The camera's position and its axes (right, up, backward), object frame. */
export function poseOf({ object_from_camera: m }) {
  const column = (i) => [m[i], m[4 + i], m[8 + i]];
  return { right: column(0), up: column(1), back: column(2), position: column(3) };
}

/** Image position xy of a point. */
export function project(camera, point) {
  const { right, up, back, position } = poseOf(camera);
  const offset = minus(point, position);
  const half = halfHeightAt(camera, -dot(offset, back));
  return [dot(offset, right) / half / 2 + 0.5, -dot(offset, up) / half / 2 + 0.5];
}

/** The ray that projects to xy: its origin and its unit direction. */
export function backproject(camera, [x, y]) {
  const { right, up, back, position } = poseOf(camera);
  const half = halfHeightAt(camera, 1);
  const across = plus(times(right, (2 * x - 1) * half), times(up, (1 - 2 * y) * half));
  if (camera.half_height_mm !== null) return { origin: plus(position, across), direction: times(back, -1) };
  const step = minus(across, back);
  return { origin: position, direction: times(step, 1 / length(step)) };
}

/** The lower triangular L with L L^T = covariance; it maps the unit ball to the ellipsoid of one standard deviation. */
export function cholesky([[a, b, c], [, d, e], [, , f]]) {
  const l11 = Math.sqrt(Math.max(a, 1e-12));
  const l21 = b / l11;
  const l31 = c / l11;
  const l22 = Math.sqrt(Math.max(d - l21 * l21, 1e-12));
  const l32 = (e - l31 * l21) / l22;
  const l33 = Math.sqrt(Math.max(f - l31 * l31 - l32 * l32, 1e-12));
  return [[l11, 0, 0], [l21, l22, 0], [l31, l32, l33]];
}

/** The default rig's cameras around a centre, for meshes that were not rendered. */
export function plainCameras(centre, halfHeight) {
  return Array.from({ length: 9 }, (_, view) => {
    const azimuth = (-90 + 22.5 * view) * (Math.PI / 180);
    const [sin, cos] = [Math.sin(azimuth), Math.cos(azimuth)];
    const [x, y, z] = plus(centre, times([sin, 0, cos], 4 * halfHeight));
    const object_from_camera = [cos, 0, sin, x, 0, 1, 0, y, -sin, 0, cos, z, 0, 0, 0, 1];
    return {
      view, azimuth_deg: -90 + 22.5 * view, elevation_deg: 0, object_from_camera, half_height_mm: halfHeight, yfov_deg: null,
    };
  });
}

export const plus = (a, b) => a.map((value, i) => value + b[i]);
export const minus = (a, b) => a.map((value, i) => value - b[i]);
export const times = (a, factor) => a.map((value) => value * factor);
export const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
export const length = (a) => Math.hypot(...a);
