// Labels to and from the server: a label is replaced only if its version is the one that was read.

import { getJson, sendJson } from "./api.js";
import { length, minus } from "./geometry.js";

const path = (id) => `/labels/${encodeURIComponent(id)}`;
const asJson = (point) => (Array.isArray(point) ? { xyz: point } : point);

/** A label of the server: {id, version, repeats, labels}, labels {point, source} by index, repeats in mm by name. */
function fromJson({ object_id: id, version, points, sources, repeats_mm: repeats }, set) {
  const label = ({ name }) => (points[name] ? { point: points[name].xyz ?? points[name], source: sources[name] } : null);
  return { id, version, repeats, labels: set.entries.map(label) };
}

/** Read an object's label. */
export const readLabel = async (id, set) => fromJson(await getJson(path(id)), set);

/** Save what a draft has changed, over a version, or as a repeat; return the label. */
export async function saveDraft({ id, version }, draft, set) {
  const entries = draft.changed();
  const points = Object.fromEntries(entries.map(({ name, index }) => [name, asJson(draft.label(index)?.point ?? null)]));
  if (draft.isRepeat) return fromJson(await sendJson("POST", `${path(id)}/repeats`, { points }), set);
  const known = entries.filter(({ index }) => draft.label(index)?.source);
  const sources = Object.fromEntries(known.map(({ name, index }) => [name, draft.label(index).source]));
  return fromJson(await sendJson("PUT", path(id), { points, sources, version }), set);
}

/** What the page says about a repeat that is saved: its median distance from the label. */
export function repeatText(repeat) {
  const apart = repeat.changed().map(({ index }) => length(minus(repeat.label(index).point, repeat.saved[index].point)));
  apart.sort((a, b) => a - b);
  return `repeat saved, ${apart[Math.floor(apart.length / 2)].toFixed(2)} mm from the label`;
}
