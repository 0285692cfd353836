// The page: what is chosen, and what follows from it in which order.

import { readAddress, writeAddress } from "./address.js";
import { alertUser, clearAlerts, setStatus } from "./alerts.js";
import { getJson } from "./api.js";
import { acceptDrops } from "./drop.js";
import { SIDES, plainCameras } from "./geometry.js";
import { listenToKeys } from "./keys.js";
import { createLabelling } from "./label.js";
import { createList, readObjects } from "./list.js";
import { createPicture, marksOf } from "./picture.js";
import { bareObject, droppedMesh, runObject } from "./subjects.js";
import { createTable, setVerdict } from "./table.js";

const byId = (id) => document.getElementById(id);
const state = { about: null, subject: null, again: null, details: null, view: null, answer: null, projection: null };
const model = await openModel();
const list = createList((id) => openObject(id));
const picture = createPicture((view) => chooseView(view));
const table = createTable((point) => model?.lookAt(point, state.details.views));
const labelling = model && createLabelling(model, byId("canvas"), {
  onSaved: (id) => list.markLabelled(id),
  onNext: () => openNextUnlabelled(),
});
let opening = new AbortController();

/** Return the 3D panel, or null where it cannot be: no three.js was packed, or the browser has no WebGL. */
async function openModel() {
  try {
    const { createModel } = await import("./model.js");
    return createModel(byId("canvas"));
  } catch (error) {
    sayInModel(
      /WebGL/i.test(error.message)
        ? "This browser has no WebGL: there is no 3D panel."
        : "This installation has no three.js: there is no 3D panel. `make setup` with npm adds it.",
    );
    return null;
  }
}

async function start() {
  try {
    state.about = await getJson("/about");
    const { landmark, projections, labelling: mayLabel } = state.about;
    byId("landmark").textContent = landmark ?? "";
    document.title = landmark ? `featurelib: ${landmark}` : "featurelib";
    const asked = readAddress();
    state.projection = projections.includes(asked.projection) ? asked.projection : (projections[0] ?? null);
    byId("projection").replaceChildren(...projections.map((name) => new Option(name, name, false, name === state.projection)));
    byId("projection").disabled = projections.length < 2;
    byId("try").disabled = !projections.length;
    byId("label-mode").hidden = !mayLabel || !labelling;
    list.setObjects(await readObjects(state.about));
    if (mayLabel && labelling && asked.label) switchLabelling(true);
    await Promise.all([readScores(), openAddress()]);
  } catch (error) {
    failed(error, start);
  }
}

async function readScores() {
  if (state.projection) list.setScores((await getJson(`/scores?projection=${state.projection}`)).objects);
}

async function openAddress() {
  const { object, view } = readAddress();
  const id = object ?? list.neighbour(0);
  if (id !== null) await openObject(id, view);
}

async function openObject(id, view = state.view) {
  const found = list.find(id);
  if (!found) return alertUser(`There is no object ${id} here.`);
  if (!mayLeave()) return;
  const make = (signal) => (found.inRun ? runObject(id, state.projection, signal) : bareObject(id, signal));
  list.choose(id);
  await open(make, view, () => openObject(id, state.view));
}

async function openFile(file) {
  if (!mayLeave()) return;
  list.choose(null);
  const make = (signal) => droppedMesh(file, byId("unit").value, state.projection, signal);
  await open(make, state.view, () => openFile(file));
}

const mayLeave = () => !labelling?.isUnsaved() || confirm("The label is not saved. Leave it?");

/** Show a subject: its picture, then where the landmark is in it, then the model with both in space. */
async function open(make, view, again) {
  opening.abort();
  opening = new AbortController();
  const { signal } = opening;
  state.subject?.dispose();
  const subject = make(signal);
  Object.assign(state, { subject, again, view, details: null, answer: null });
  begin(subject);
  try {
    const details = await subject.details();
    if (signal.aborted) return;
    state.details = details;
    table.setFacts(details.facts);
    picture.begin(details.views, subject.isBare ? "This object was not rendered: there are no pictures." : "");
    if (!subject.isBare && !viewOf(state.view)) state.view = Math.floor(details.views.length / 2);
    note();
    const mesh = showMesh(subject, signal);
    mesh.catch(() => {}); // whoever waits for it is told
    if (!subject.isBare) {
      await Promise.all([showPicture(subject, state.view, signal), showDots(subject, state.view, signal)]);
      await Promise.all([showAnswer(subject, mesh, signal), showStrip(subject, signal)]);
    }
    await mesh;
  } catch (error) {
    if (!signal.aborted) failed(error, again);
  }
}

function sayInModel(text) {
  const empty = document.querySelector("#model .empty");
  empty.textContent = text;
  empty.hidden = !text;
}

function begin(subject) {
  note();
  if (model) sayInModel("");
  clearAlerts();
  table.clear();
  model?.clear();
  picture.begin([]);
  setVerdict(subject.isBare ? "none" : "busy", "No answer: it is not in the run");
  setStatus("picture-status", subject.isBare ? "done" : "busy", subject.isBare ? "" : "loading…");
  setStatus("model-status", "busy", "loading…");
  if (labelling?.isOn) labelling.load(subject.id).catch((error) => failed(error));
}

async function showPicture(subject, view, signal) {
  picture.choose(view);
  const url = await subject.picture(view);
  if (!signal.aborted) await picture.setPicture(view, url);
}

async function showDots(subject, view, signal) {
  setStatus("picture-status", "busy", "finding…");
  const found = await subject.find2d(view);
  if (signal.aborted || view !== state.view) return;
  picture.setDots(view, marksOf(viewOf(view), found));
  setStatus("picture-status", "done", `found in ${time(found.ms)}`);
}

async function showAnswer(subject, mesh, signal) {
  setStatus("model-status", "busy", "finding in 3D…");
  const answer = await subject.find3d();
  if (signal.aborted) return;
  state.answer = answer;
  setVerdict(answer);
  for (const seen of answer.views) picture.setDots(seen.view, marksOf(viewOf(seen.view), seen));
  model?.marks.setAnswer(answer, state.details.views);
  labelling?.setPrediction(answer);
  table.set(answer, state.details.truth, null);
  setStatus("model-status", "done", `${answer.method} in ${time(answer.timings_ms.total)}`);
  model?.refresh();
  await mesh;
  if (!signal.aborted && model?.mesh) table.set(answer, state.details.truth, toSurface(answer));
}

async function showMesh(subject, signal) {
  if (!model) return;
  const glb = await subject.glb().catch((error) => {
    if (error.status !== 404 || subject.isBare) throw error;
    sayInModel(error.message); // the answer does not need it
  });
  if (signal.aborted) return;
  if (glb) await model.setMesh(glb);
  if (signal.aborted) return;
  if (subject.isBare) standInFront(state.details);
  const { centre, truth, views } = state.details;
  model.snap(viewOf(state.view) ?? views[0], centre);
  model.marks.setTruth(truth);
  if (state.answer) model.marks.setAnswer(state.answer, views);
  else if (subject.isBare) setStatus("model-status", "done", "");
  labelling?.switch(labelling.isOn);
  model.refresh();
}

/** Give a mesh that was never rendered the default rig's cameras, by its own size. */
function standInFront(details) {
  const { centre, size } = model.bounds();
  Object.assign(details, { centre, views: plainCameras(centre, 0.6 * size) });
  state.view = details.views[state.view] ? state.view : 4;
  picture.begin(details.views, "This object was not rendered: there are no pictures.");
  picture.choose(state.view);
  note();
}

async function showStrip(subject, signal) {
  for (const { view } of state.details.views) {
    const url = await subject.picture(view);
    if (signal.aborted) return;
    if (view !== state.view) await picture.setPicture(view, url);
  }
}

async function chooseView(view) {
  const { subject } = state;
  const { signal } = opening;
  if (!state.details) state.view = view; // of an object that is still on its way
  if (!viewOf(view)) return;
  state.view = view;
  note();
  picture.choose(view);
  if (model?.mesh) model.snap(viewOf(view), state.details.centre);
  if (subject.isBare) return;
  try {
    await Promise.all([showPicture(subject, view, signal), showDots(subject, view, signal)]);
  } catch (error) {
    if (!signal.aborted) failed(error, () => chooseView(view));
  }
}

function switchLabelling(isOn) {
  labelling.switch(isOn);
  byId("label-mode").ariaPressed = String(isOn);
  if (!state.subject) return; // what the address asks for comes next
  note();
  if (isOn) labelling.load(state.subject.id).then(() => labelling.setPrediction(state.answer)).catch(failed);
}

function openNextUnlabelled() {
  const id = list.nextUnlabelled();
  if (id) openObject(id);
  else setStatus("label-status", "done", "every object has a label");
}

function failed(error, again) {
  for (const id of ["picture-status", "model-status"]) {
    if (byId(id).dataset.state === "busy") setStatus(id, "failed", "failed");
  }
  if (!state.answer) setVerdict("failed", error.message);
  alertUser(error.message, again);
}

function toSurface(answer) {
  return Object.fromEntries(SIDES.map((side) => [side, model.closest(answer[side].xyz).distance]));
}

function note() {
  const { subject, view, projection } = state;
  writeAddress({ object: subject?.id ?? null, view, projection, label: labelling?.isOn ?? false });
}

function step(steps) {
  const id = list.neighbour(steps);
  if (id !== null) openObject(id);
}

const viewOf = (view) => state.details?.views.find((each) => each.view === view);
const time = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

function toggle(id) {
  const button = byId(id);
  const isOn = button.ariaPressed !== "true";
  button.ariaPressed = String(isOn);
  if (id === "rays") byId("legend-rays").hidden = !isOn;
  if (id === "spread") byId("dots").classList.toggle("plain", !isOn);
  model?.set(id, isOn);
}

for (const id of ["xray", "wire", "rays", "spread"]) byId(id).addEventListener("click", () => toggle(id));
byId("fit").addEventListener("click", () => model?.fit());
byId("keys").addEventListener("click", () => byId("key-list").showModal());
byId("label-mode").addEventListener("click", () => switchLabelling(!labelling.isOn));
byId("projection").addEventListener("change", ({ target }) => {
  state.projection = target.value;
  readScores().catch(failed);
  state.again?.();
});
addEventListener("beforeunload", (event) => labelling?.isUnsaved() && event.preventDefault());
addEventListener("popstate", () => openAddress().catch(failed));
acceptDrops((file) => state.projection && openFile(file));
listenToKeys({
  next: () => step(1),
  previous: () => step(-1),
  turn: (steps) => state.view !== null && chooseView(state.view + steps),
  search: list.focusSearch,
  press: (id) => !byId(id).hidden && byId(id).click(),
  side: (side) => labelling?.isOn && labelling.choose(side),
  save: () => labelling?.isOn && labelling.save(),
  unlabelled: () => labelling?.isOn && openNextUnlabelled(),
});

/** For the console, and for tests. */
globalThis.viewer = { state, model, labelling };
await start();
