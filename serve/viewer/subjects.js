// Subjects of the page: an object of the run, a mesh of the dataset without a run, or a dropped file. They have the same
// parts, each fetched on demand: details (views, centre, truth), image, find2d, find3d and glb.

import { getBlob, getJson, sendForm, sendJson } from "./api.js";

const toUrl = (blob, urls) => (urls.push(URL.createObjectURL(blob)), urls.at(-1));
const dispose = (urls) => () => urls.forEach((url) => URL.revokeObjectURL(url));

/** An object of the run. */
export function runObject(id, projection, signal) {
  const path = `/objects/${encodeURIComponent(id)}`;
  const query = `?projection=${projection}`;
  const urls = [];
  const images = new Map();
  return {
    id,
    title: id,
    async details() {
      const found = await getJson(path + query, signal);
      const points = found.landmarks.map(({ xyz }) => xyz);
      const truth = points.some(Boolean) ? points : null;
      return { views: found.views, centre: found.centre_mm, truth, facts: `${found.split} object, ${projection}` };
    },
    image(view) {
      if (!images.has(view)) {
        images.set(view, getBlob(`${path}/views/${view}.png${query}`, signal).then((blob) => toUrl(blob, urls)));
      }
      return images.get(view);
    },
    find2d: (view) => sendJson("POST", "/infer", { object_id: id, view, projection }, signal),
    find3d: () => sendJson("POST", "/infer/3d", { object_id: id, projection }, signal),
    glb: async () => (await getBlob(`${path}/mesh.glb`, signal)).arrayBuffer(),
    dispose: dispose(urls),
  };
}

/** A mesh of the dataset that is not in the run: it has only its surface. */
export function bareObject(id, signal) {
  const path = `/objects/${encodeURIComponent(id)}/mesh.glb`;
  return {
    id,
    title: id,
    isBare: true,
    details: async () => ({ views: [], centre: null, truth: null, facts: "not in the run: no images and no prediction" }),
    glb: async () => (await getBlob(path, signal)).arrayBuffer(),
    dispose() {},
  };
}

/** A file of the user: the server predicts its landmarks and stores nothing. */
export function droppedMesh(file, unit, projection, signal) {
  const form = new FormData();
  form.set("mesh", file, file.name);
  form.set("projection", projection);
  form.set("scene", "true");
  if (unit) form.set("unit", unit);
  const response = sendForm("/infer/3d", form, signal);
  response.catch(() => {}); // each part rejects with the error, too
  const urls = [];
  return {
    id: null,
    title: file.name,
    async details() {
      const { scene } = await response;
      return { views: scene.views, centre: scene.centre_mm, truth: null, facts: `${file.name}, not stored, ${projection}` };
    },
    image: async (view) => toUrl(new Blob([bytes((await response).scene.images[view])], { type: "image/png" }), urls),
    async find2d(view) {
      const { views, model, timings_ms: timings } = await response;
      return { ...views[view], model, ms: timings.detect };
    },
    find3d: () => response,
    glb: async () => bytes((await response).scene.glb).buffer,
    dispose: dispose(urls),
  };
}

const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
