// What can be shown: an object of the run, a mesh of the dataset that has only to be labelled, or one that was dropped.
// All have the same parts: details (views, centre, truth), picture, find2d, find3d and glb, each fetched when asked for.

import { getBlob, getJson, sendForm, sendJson } from "./api.js";

const toUrl = (blob, urls) => (urls.push(URL.createObjectURL(blob)), urls.at(-1));
const dispose = (urls) => () => urls.forEach((url) => URL.revokeObjectURL(url));

/** An object of the run. */
export function runObject(id, projection, signal) {
  const path = `/objects/${encodeURIComponent(id)}`;
  const query = `?projection=${projection}`;
  const urls = [];
  const pictures = new Map();
  return {
    id,
    title: id,
    async details() {
      const found = await getJson(path + query, signal);
      const truth = found.left_mm && [found.left_mm, found.right_mm];
      return { views: found.views, centre: found.centre_mm, truth, facts: `${found.split} object, ${projection}` };
    },
    picture(view) {
      if (!pictures.has(view)) {
        pictures.set(view, getBlob(`${path}/views/${view}.png${query}`, signal).then((blob) => toUrl(blob, urls)));
      }
      return pictures.get(view);
    },
    find2d: (view) => sendJson("POST", "/infer", { object_id: id, view, projection }, signal),
    find3d: () => sendJson("POST", "/infer/3d", { object_id: id, projection }, signal),
    glb: async () => (await getBlob(`${path}/mesh.glb`, signal)).arrayBuffer(),
    dispose: dispose(urls),
  };
}

/** A mesh of the dataset that the run does not have: there is nothing but its surface. */
export function bareObject(id, signal) {
  const path = `/objects/${encodeURIComponent(id)}/mesh.glb`;
  return {
    id,
    title: id,
    isBare: true,
    details: async () => ({ views: [], centre: null, truth: null, facts: "not in the run: no pictures, no answer" }),
    glb: async () => (await getBlob(path, signal)).arrayBuffer(),
    dispose() {},
  };
}

/** A file of the user's: the server renders it, answers and forgets it. */
export function droppedMesh(file, unit, projection, signal) {
  const form = new FormData();
  form.set("mesh", file, file.name);
  form.set("projection", projection);
  form.set("scene", "true");
  if (unit) form.set("unit", unit);
  const answered = sendForm("/infer/3d", form, signal);
  answered.catch(() => {}); // whoever asks for a part is told
  const urls = [];
  return {
    id: null,
    title: file.name,
    async details() {
      const { scene, views } = await answered;
      const known = scene.views.map((view, i) => ({ ...view, near_side: views[i].near_side }));
      return { views: known, centre: scene.centre_mm, truth: null, facts: `${file.name}, not stored, ${projection}` };
    },
    picture: async (view) => toUrl(new Blob([bytes((await answered).scene.images[view])], { type: "image/png" }), urls),
    async find2d(view) {
      const { views, model, timings_ms: timings } = await answered;
      return { ...views[view], model, ms: timings.detect };
    },
    find3d: () => answered,
    glb: async () => bytes((await answered).scene.glb).buffer,
    dispose: dispose(urls),
  };
}

const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
