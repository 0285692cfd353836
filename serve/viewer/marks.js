// The marks on the mesh: predicted and true landmarks, their outlines, their 68 % ellipsoids, the views' rays, proposals
// and labels. All marks of a kind are one draw call, so that 80 landmarks are as quick as two.

import * as THREE from "./vendor/three.module.js";
import { SPREAD_68, backproject, cholesky, dot, minus, plus, times } from "./geometry.js";
import { NO_SET } from "./landmarks.js";

const DOT_PX = 5;
const SMALL_DOT_PX = 4; // of a set of more than one pair
const FOCUS = 1.7; // size of the chosen landmark's marks, relative to the others'
const RAY_MM = { before: 130, behind: 20 }; // of a ray around its closest point to the landmark, for a frame of 420 mm

const SHAPES = {
  predicted: new THREE.SphereGeometry(1, 20, 14),
  true: new THREE.TorusGeometry(1.9, 0.28, 10, 32),
  proposal: new THREE.OctahedronGeometry(1.9),
  label: new THREE.OctahedronGeometry(1.5),
  spread: new THREE.SphereGeometry(1, 20, 14),
};
const COARSE_SHAPES = { // of a set of more than one pair: few triangles in all
  predicted: new THREE.SphereGeometry(1, 8, 5),
  true: new THREE.TorusGeometry(1.9, 0.28, 3, 14),
  proposal: SHAPES.proposal,
  label: SHAPES.label,
  spread: new THREE.SphereGeometry(1, 10, 6),
};
const KINDS = ["predicted", "true", "proposal", "label"];
const STYLES = { proposal: { opacity: 0.55 } };

/** The marks; all points are [x, y, z] of the object frame in mm, in the order of the set, null if missing. */
export function createMarks() {
  const group = new THREE.Group();
  const answers = new THREE.Group(); // all marks but the labels
  group.add(answers);
  const outlines = named(new THREE.LineSegments(new THREE.BufferGeometry(), new THREE.LineBasicMaterial()), "outlines");
  const rays = named(new THREE.LineSegments(new THREE.BufferGeometry(), new THREE.LineBasicMaterial({ vertexColors: true })), "rays");
  for (const lines of [outlines, rays]) Object.assign(lines, { renderOrder: 1, frustumCulled: false });
  rays.visible = false;
  let set = NO_SET;
  let dots = {}; // by kind: the instances, and the points of the set
  let spreads = null;
  let shown = null; // the prediction and its cameras
  let focused = null;
  let isXray = false;
  for (const lines of [outlines, rays]) lines.material.transparent = true;
  answers.add(outlines, rays);

  /** As many marks as the set has landmarks; none is shown yet. */
  function instances(shape, name, style) {
    // Marked as transparent so that they are drawn after a translucent mesh, which would cover them.
    const material = new THREE.MeshBasicMaterial({ transparent: true, depthTest: !isXray, ...style });
    const made = named(new THREE.InstancedMesh(shape, material, Math.max(1, set.entries.length)), name);
    Object.assign(made, { frustumCulled: false, count: 0 });
    (name === "label" ? group : answers).add(made);
    return made;
  }

  function setLandmarks(newSet) {
    for (const each of [...Object.values(dots).map(({ mesh }) => mesh), spreads]) {
      each?.removeFromParent();
      each?.material.dispose();
      each?.dispose();
    }
    set = newSet;
    const shapes = set.isPair ? SHAPES : COARSE_SHAPES;
    spreads = instances(shapes.spread, "spreads", { opacity: 0.3, depthWrite: false });
    spreads.renderOrder = 1;
    dots = Object.fromEntries(KINDS.map((kind) => [kind, { mesh: instances(shapes[kind], kind, STYLES[kind]), points: [] }]));
    for (const { mesh } of Object.values(dots)) mesh.renderOrder = 2;
  }

  /** Show the landmarks of some entries, in their colours. */
  function show(mesh, entries) {
    mesh.count = entries.length;
    const colours = roleColours();
    entries.forEach(({ role }, i) => mesh.setColorAt(i, colours[role]));
    if (mesh.instanceColor) mesh.instanceColor.needsUpdate = true;
  }

  const withPoint = (points) => set.entries.filter(({ index }) => points[index]);

  function setPoints(kind, points) {
    dots[kind].points = points ?? [];
    show(dots[kind].mesh, withPoint(dots[kind].points));
    drawOutlines();
  }

  /** Draw the lines through the labels, if there are any, else through the predicted or the true landmarks. */
  function drawOutlines() {
    const points = ["label", "proposal", "predicted", "true"].map((kind) => dots[kind].points).find((of) => of.some(Boolean)) ?? [];
    const ends = set.lines.filter((line) => line.every((index) => points[index]));
    setLines(outlines, ends.flatMap((line) => line.flatMap((index) => points[index])));
    outlines.material.color.set(css("--outline"));
  }

  function setSpreads(landmarks) {
    const known = set.entries.filter(({ index }) => landmarks[index].xyz && landmarks[index].sigma_mm !== null);
    show(spreads, known);
    const matrix = new THREE.Matrix4();
    known.forEach(({ index }, i) => {
      const { xyz, sigma_mm: sigma, covariance_mm2: covariance } = landmarks[index];
      const factor = cholesky(covariance ?? [0, 1, 2].map((row) => [0, 1, 2].map((column) => (row === column ? sigma ** 2 : 0))));
      const rows = factor.map((row, axis) => [...times(row, SPREAD_68.space), xyz[axis]]);
      spreads.setMatrixAt(i, matrix.set(...rows.flat(), 0, 0, 0, 1));
    });
    spreads.instanceMatrix.needsUpdate = true;
  }

  /** Draw the rays of the chosen landmark, of all near ones without a choice. */
  function drawRays() {
    const [places, colours] = [[], []];
    const [used, off] = ["--ray-in", "--ray-out"].map((name) => new THREE.Color(css(name)));
    for (const found of shown?.prediction.views ?? []) {
      const camera = shown.cameras[found.view];
      found.landmarks.forEach(({ xy, near, inlier }, index) => {
        const { xyz } = shown.prediction.landmarks[index];
        if (!xy || !xyz || (focused === null ? near === false : index !== focused)) return;
        const { origin, direction } = backproject(camera, xy);
        const along = dot(minus(xyz, origin), direction);
        const width = 2 * (camera.half_height_mm ?? along * Math.tan((camera.yfov_deg * Math.PI) / 360));
        const ends = [along - (RAY_MM.before / 420) * width, along + (RAY_MM.behind / 420) * width];
        for (const end of ends) places.push(...plus(origin, times(direction, end)));
        for (let i = 0; i < 2; i++) colours.push(...(inlier === false ? off : used).toArray());
      });
    }
    setLines(rays, places);
    rays.geometry.setAttribute("color", new THREE.Float32BufferAttribute(colours, 3));
  }

  return {
    group,
    setLandmarks,
    setPoints,
    setTruth: (points) => setPoints("true", points),
    /** Draw a response of /infer/3d. */
    setPrediction(prediction, cameras) {
      shown = { prediction, cameras };
      setPoints("predicted", prediction.landmarks.map(({ xyz }) => xyz));
      setSpreads(prediction.landmarks);
      drawRays();
    },
    /** Enlarge the marks of one landmark, and draw its rays only; null: of none. */
    focus(index) {
      focused = index;
      drawRays();
    },
    set(name, isOn) {
      ({ rays, spread: spreads })[name].visible = isOn;
    },
    /** Hide all marks but the labels. */
    setBlind(isOn) {
      answers.visible = !isOn;
    },
    /** Draw the marks even where the mesh covers them. */
    showThroughMesh(isOn) {
      isXray = isOn;
      group.traverse(({ material }) => material && (material.depthTest = !isOn));
    },
    get isXray() {
      return isXray;
    },
    /** Keep the dots' size on the screen, so that they do not cover the surface in close-ups, and face rings to the camera. */
    face(mmPerPixel, quaternion) {
      const [matrix, place, size] = [new THREE.Matrix4(), new THREE.Vector3(), new THREE.Vector3()];
      const pixels = set.isPair ? DOT_PX : SMALL_DOT_PX;
      for (const { mesh, points } of Object.values(dots)) {
        withPoint(points).forEach(({ index }, i) => {
          const scale = pixels * mmPerPixel(place.set(...points[index])) * (index === focused ? FOCUS : 1);
          mesh.setMatrixAt(i, matrix.compose(place, quaternion, size.setScalar(scale)));
        });
        mesh.instanceMatrix.needsUpdate = true;
      }
    },
    /** The dots that are shown: [{kind, index, title, point}]. */
    all: () =>
      Object.entries(dots).flatMap(([kind, { points }]) =>
        (answers.visible || kind === "label" ? withPoint(points) : []).map(({ index, title }) => ({ kind, index, title, point: points[index] })),
      ),
    clear() {
      shown = null;
      for (const kind of Object.keys(dots)) setPoints(kind, []);
      spreads.count = 0;
      setLines(rays, []);
    },
  };
}

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const roleColours = () =>
  Object.fromEntries(["left", "right", "midline", "unpaired"].map((role) => [role, new THREE.Color(css(`--${role}`))]));

function setLines(lines, places) {
  lines.geometry.dispose();
  lines.geometry = new THREE.BufferGeometry();
  lines.geometry.setAttribute("position", new THREE.Float32BufferAttribute(places, 3));
}

function named(object, name) {
  object.name = name;
  return object;
}
