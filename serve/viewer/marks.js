// The marks on the mesh: predicted and true landmarks, their 68 % ellipsoids, the views' rays, and an unsaved label.

import * as THREE from "./vendor/three.module.js";
import { SIDES, SPREAD_68, backproject, cholesky, dot, minus, plus, times } from "./geometry.js";

const DOT_PX = 5;
const RAY_MM = { before: 130, behind: 20 }; // of a ray around its closest point to the landmark, for a frame of 420 mm

const SHAPES = {
  predicted: new THREE.SphereGeometry(1, 20, 14),
  true: new THREE.TorusGeometry(1.9, 0.28, 10, 32),
  label: new THREE.OctahedronGeometry(1.5),
};

/** The marks; all points are [x, y, z] of the object frame in mm. */
export function createMarks() {
  const group = new THREE.Group();
  const dots = named(new THREE.Group(), "dots");
  const spreads = named(new THREE.Group(), "spreads");
  const rays = named(new THREE.LineSegments(new THREE.BufferGeometry(), lineMaterial()), "rays");
  rays.visible = false;
  rays.renderOrder = 1;
  group.add(dots, spreads, rays);
  let isXray = false;

  function setDot(kind, side, point) {
    remove(dots, `${kind}-${side}`);
    if (!point) return;
    // Marked as transparent so that it is drawn after a translucent mesh, which would cover it.
    const material = new THREE.MeshBasicMaterial({ color: colour(side), depthTest: !isXray, transparent: true });
    const mark = named(new THREE.Mesh(SHAPES[kind], material), `${kind}-${side}`);
    mark.position.set(...point);
    mark.renderOrder = 2;
    dots.add(mark);
  }

  function setSpread(side, { xyz, sigma_mm: sigma, covariance_mm2: covariance }) {
    remove(spreads, side);
    if (sigma === null) return;
    const factor = cholesky(covariance ?? [0, 1, 2].map((i) => [0, 1, 2].map((j) => (i === j ? sigma ** 2 : 0))));
    const rows = factor.map((row, i) => [...times(row, SPREAD_68.space), xyz[i]]);
    const material = new THREE.MeshBasicMaterial({ color: colour(side), transparent: true, opacity: 0.3, depthWrite: false });
    const ball = named(new THREE.Mesh(SHAPES.predicted, material), side);
    ball.matrixAutoUpdate = false;
    ball.matrix.set(...rows.flat(), 0, 0, 0, 1);
    ball.renderOrder = 1;
    spreads.add(ball);
  }

  function setRays(cameras, prediction) {
    const [places, colours] = [[], []];
    const [used, off] = ["--ray-in", "--ray-out"].map((name) => new THREE.Color(css(name)));
    for (const found of prediction.views) {
      const camera = cameras[found.view];
      const { origin, direction } = backproject(camera, found.xy);
      const along = dot(minus(prediction[found.near_side].xyz, origin), direction);
      const width = 2 * (camera.half_height_mm ?? along * Math.tan((camera.yfov_deg * Math.PI) / 360));
      const ends = [along - (RAY_MM.before / 420) * width, along + (RAY_MM.behind / 420) * width];
      for (const end of ends) places.push(...plus(origin, times(direction, end)));
      for (let i = 0; i < 2; i++) colours.push(...(found.inlier === false ? off : used).toArray());
    }
    rays.geometry.dispose();
    rays.geometry = new THREE.BufferGeometry();
    rays.geometry.setAttribute("position", new THREE.Float32BufferAttribute(places, 3));
    rays.geometry.setAttribute("color", new THREE.Float32BufferAttribute(colours, 3));
  }

  return {
    group,
    setDot,
    setTruth: (pair) => SIDES.forEach((side, i) => setDot("true", side, pair?.[i])),
    /** Draw a response of /infer/3d. */
    setPrediction(prediction, cameras) {
      for (const side of SIDES) {
        setDot("predicted", side, prediction[side].xyz);
        setSpread(side, prediction[side]);
      }
      setRays(cameras, prediction);
    },
    set(name, isOn) {
      ({ rays, spread: spreads })[name].visible = isOn;
    },
    /** Draw the marks even where the mesh covers them. */
    showThroughMesh(isOn) {
      isXray = isOn;
      for (const mark of dots.children) mark.material.depthTest = !isOn;
      for (const ball of spreads.children) ball.material.depthTest = !isOn;
      rays.material.depthTest = !isOn;
    },
    /** Keep the dots' size on the screen, so that they do not cover the surface in close-ups, and face rings to the camera. */
    face(mmPerPixel, quaternion) {
      for (const mark of dots.children) {
        mark.scale.setScalar(DOT_PX * mmPerPixel(mark.position));
        mark.quaternion.copy(quaternion);
      }
    },
    clear() {
      for (const each of [...dots.children, ...spreads.children]) each.removeFromParent();
      rays.geometry.setAttribute("position", new THREE.Float32BufferAttribute([], 3));
    },
  };
}

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colour = (side) => new THREE.Color(css(`--${side}`));
const lineMaterial = () => new THREE.LineBasicMaterial({ vertexColors: true, transparent: true });

function named(object, name) {
  object.name = name;
  return object;
}

function remove(group, name) {
  group.getObjectByName(name)?.removeFromParent();
}
