// The mesh in three.js: rotated by hand or seen from a view's camera, with its marks.

import { OrbitControls } from "./vendor/controls/OrbitControls.js";
import { GLTFLoader } from "./vendor/loaders/GLTFLoader.js";
import * as THREE from "./vendor/three.module.js";
import { dot, length, minus, poseOf } from "./geometry.js";
import { createMarks } from "./marks.js";

const XRAY_OPACITY = 0.3;
const OCCLUDED = 0.01; // of the frame's width: a surface this far in front of a point occludes it
const CLOSE_UP = 0.1; // of the frame's width, for the close-up of one landmark

/** A light along the camera's axis, as in the rendered images. */
function headlight() {
  const light = new THREE.DirectionalLight(0xffffff, 2.6);
  light.position.set(0, 0, 0);
  light.target.position.set(0, 0, -1);
  return [light, light.target];
}

/** The panel on a canvas. */
export function createModel(canvas) {
  const renderer = new THREE.WebGLRenderer({ canvas, antialias: true, alpha: true });
  renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
  const scene = new THREE.Scene();
  const marks = createMarks();
  scene.add(marks.group);
  const cameras = { flat: new THREE.OrthographicCamera(), deep: new THREE.PerspectiveCamera() };
  for (const camera of Object.values(cameras)) camera.add(...headlight());
  scene.add(cameras.flat, cameras.deep, new THREE.AmbientLight(0xffffff, 0.5));
  const controls = new OrbitControls(cameras.flat, canvas);
  controls.enableDamping = false;
  const raycaster = new THREE.Raycaster();

  let mesh = null;
  let lens = null; // of the rig's cameras: {half_height_mm, yfov_deg}, and the distance and centre of the object
  let isPending = false;
  let balls = null; // around the triangles: their centres and radii, for `closest`
  let meshes = 0; // counts meshes, to ignore one that is parsed after another was opened
  const style = { xray: false, wire: false };

  const camera = () => controls.object;

  /** Draw once before the next frame, however often it is called. */
  function refresh() {
    if (isPending) return;
    isPending = true;
    requestAnimationFrame(() => {
      isPending = false;
      marks.face(mmPerPixel, camera().quaternion);
      renderer.render(scene, camera());
    });
  }

  function resize() {
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!width || !height) return;
    renderer.setSize(width, height, false);
    frame();
    refresh();
  }

  /** Make the lens show the whole square frame of the rig, and more in a panel that is not square. */
  function frame() {
    if (!lens) return;
    const aspect = canvas.clientWidth / canvas.clientHeight;
    const of = camera();
    const [wide, high] = [Math.max(aspect, 1), Math.max(1 / aspect, 1)];
    if (of.isOrthographicCamera) {
      const half = lens.half_height_mm;
      Object.assign(of, { left: -half * wide, right: half * wide, top: half * high, bottom: -half * high });
    } else {
      const tangent = Math.tan((lens.yfov_deg * Math.PI) / 360) * high;
      Object.assign(of, { aspect, fov: (2 * Math.atan(tangent) * 180) / Math.PI });
    }
    Object.assign(of, { near: lens.distance / 100, far: lens.distance * 4 });
    of.updateProjectionMatrix();
  }

  function mmPerPixel(point) {
    const of = camera();
    const half = of.isOrthographicCamera
      ? of.top / of.zoom
      : Math.tan((of.fov * Math.PI) / 360) * of.position.distanceTo(point);
    return (2 * half) / canvas.clientHeight;
  }

  function applyStyle() {
    if (!mesh) return;
    Object.assign(mesh.material, {
      transparent: style.xray, opacity: style.xray ? XRAY_OPACITY : 1, depthWrite: !style.xray, wireframe: style.wire,
    });
    mesh.material.needsUpdate = true;
    marks.showThroughMesh(style.xray);
    refresh();
  }

  /** Centre a point in a frame of this width in mm, along the camera's present axis. */
  function aim(point, widthMm) {
    const of = camera();
    const back = new THREE.Vector3(0, 0, 1).applyQuaternion(of.quaternion);
    const share = widthMm / lens.width;
    of.zoom = of.isOrthographicCamera ? 1 / share : 1;
    const distance = of.isOrthographicCamera ? lens.distance : lens.distance * share;
    of.position.copy(point).addScaledVector(back, distance);
    of.updateProjectionMatrix();
    controls.target.copy(point);
    controls.update();
    refresh();
  }

  controls.addEventListener("change", refresh);
  new ResizeObserver(resize).observe(canvas);

  return {
    scene,
    marks,
    controls,
    camera,
    refresh,
    get mesh() {
      return mesh;
    },
    clear() {
      meshes += 1;
      if (mesh) {
        scene.remove(mesh);
        mesh.geometry.dispose();
        mesh.material.map?.dispose();
        mesh.material.dispose();
      }
      mesh = balls = null;
      marks.clear();
      refresh();
    },
    /** Show a GLB (an ArrayBuffer) with coordinates in mm of the object frame. */
    async setMesh(glb) {
      const ticket = meshes;
      const gltf = await new GLTFLoader().parseAsync(glb, "");
      if (ticket !== meshes) return;
      this.clear();
      gltf.scene.traverse((node) => (mesh = node.isMesh ? node : mesh));
      const { map, vertexColors } = mesh.material;
      mesh.material.dispose();
      const color = map || vertexColors ? 0xffffff : 0xb9bcc2;
      mesh.material = new THREE.MeshLambertMaterial({ map, vertexColors, color, side: THREE.DoubleSide });
      scene.add(mesh);
      mesh.updateMatrixWorld();
      applyStyle();
    },
    /** The mesh's bounding box: its centre and its longest side. A mesh far from the origin has a translation. */
    bounds() {
      const box = new THREE.Box3().setFromObject(mesh);
      return { centre: box.getCenter(new THREE.Vector3()).toArray(), size: Math.max(...box.getSize(new THREE.Vector3()).toArray()) };
    },
    /** Take the pose and the lens of a view's camera. */
    snap(view, centre) {
      const pose = new THREE.Matrix4().set(...view.object_from_camera);
      const of = view.yfov_deg === null ? cameras.flat : cameras.deep;
      of.zoom = 1;
      pose.decompose(of.position, of.quaternion, new THREE.Vector3());
      controls.object = of;
      controls.target.set(...centre);
      const distance = of.position.distanceTo(controls.target);
      const half = view.half_height_mm ?? Math.tan((view.yfov_deg * Math.PI) / 360) * distance;
      lens = { half_height_mm: view.half_height_mm, yfov_deg: view.yfov_deg, distance, width: 2 * half, centre };
      controls.update();
      resize();
    },
    /** Show the whole object again, from the present direction. */
    fit() {
      if (lens) aim(new THREE.Vector3(...lens.centre), lens.width);
    },
    /** Show one point in close-up, from the view that faces it most. */
    closeUp(point, views) {
      if (!lens) return;
      const outward = minus(point, lens.centre);
      const facing = (view) => dot(poseOf(view).back, outward);
      this.snap(views.reduce((best, view) => (facing(view) > facing(best) ? view : best)), lens.centre);
      aim(new THREE.Vector3(...point), CLOSE_UP * lens.width);
    },
    set(name, isOn) {
      if (name in style) style[name] = isOn;
      else marks.set(name, isOn);
      applyStyle();
      refresh();
    },
    /** The point of the surface at a position of the page, or null. */
    pick(clientX, clientY) {
      if (!mesh) return null;
      const { left, top, width, height } = canvas.getBoundingClientRect();
      const position = new THREE.Vector2(((clientX - left) / width) * 2 - 1, 1 - ((clientY - top) / height) * 2);
      raycaster.setFromCamera(position, camera());
      return raycaster.intersectObject(mesh, false)[0]?.point.toArray() ?? null;
    },
    /** The position in the page of a point of the object. */
    pagePosition(point) {
      camera().updateMatrixWorld();
      const { left, top, width, height } = canvas.getBoundingClientRect();
      const { x, y } = new THREE.Vector3(...point).project(camera());
      return [left + ((x + 1) / 2) * width, top + ((1 - y) / 2) * height];
    },
    /** Whether no part of the mesh occludes a point of its surface. */
    isVisible(point) {
      const hit = this.pick(...this.pagePosition(point));
      return hit !== null && length(minus(hit, point)) < OCCLUDED * lens.width;
    },
    /** The dot of a landmark under a position of the page, the closest one that the mesh does not cover; or null. */
    dotAt(clientX, clientY, radiusPx) {
      const offset = (point) => {
        const [x, y] = this.pagePosition(point);
        return Math.hypot(x - clientX, y - clientY);
      };
      const near = marks.all().map((dot) => ({ ...dot, offset: offset(dot.point) })).filter((dot) => dot.offset < radiusPx);
      near.sort((a, b) => a.offset - b.offset);
      return near.find(({ point }) => !mesh || marks.isXray || this.isVisible(point)) ?? null;
    },
    /** The point of the surface closest to a point. */
    closest(point) {
      const from = mesh.worldToLocal(new THREE.Vector3(...point));
      const { position } = mesh.geometry.attributes;
      const index = mesh.geometry.index.array;
      balls ??= ballsAround(position, index);
      const triangle = new THREE.Triangle();
      const [found, best] = [new THREE.Vector3(), new THREE.Vector3()];
      let least = Infinity;
      for (let i = 0; i < index.length; i += 3) {
        const at = (i / 3) * 4;
        const dx = balls[at] - from.x;
        const dy = balls[at + 1] - from.y;
        const dz = balls[at + 2] - from.z;
        const reach = balls[at + 3] + least;
        if (dx * dx + dy * dy + dz * dz >= reach * reach) continue; // no point of the triangle is closer
        triangle.setFromAttributeAndIndices(position, index[i], index[i + 1], index[i + 2]);
        const distance = triangle.closestPointToPoint(from, found).distanceTo(from);
        if (distance < least) [least] = [distance, best.copy(found)];
      }
      return { point: mesh.localToWorld(best).toArray(), distance: least };
    },
  };
}

/** The centres and radii of balls around the triangles, four numbers each. */
function ballsAround(position, index) {
  const balls = new Float64Array((index.length / 3) * 4);
  const [a, b, c, centre] = [0, 1, 2, 3].map(() => new THREE.Vector3());
  for (let i = 0; i < index.length; i += 3) {
    a.fromBufferAttribute(position, index[i]);
    b.fromBufferAttribute(position, index[i + 1]);
    c.fromBufferAttribute(position, index[i + 2]);
    centre.copy(a).add(b).add(c).divideScalar(3).toArray(balls, (i / 3) * 4);
    const squared = Math.max(a.distanceToSquared(centre), b.distanceToSquared(centre), c.distanceToSquared(centre));
    balls[(i / 3) * 4 + 3] = Math.sqrt(squared);
  }
  return balls;
}
