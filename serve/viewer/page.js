// The page: its state, and the order in which a choice updates the panels.

import { readAddress, writeAddress } from "./address.js";
import { alertUser, setStatus } from "./alerts.js";
import { getJson } from "./api.js";
import { acceptDrops } from "./drop.js";
import { createImagePanel } from "./image.js";
import { showNames } from "./hover.js";
import { listenToKeys } from "./keys.js";
import { createLabelling } from "./label.js";
import { NO_SET, createSet } from "./landmarks.js";
import { createList, readObjects } from "./list.js";
import { createPanels, openModel } from "./panels.js";
import { createQueue } from "./queue.js";
import { showRepeats } from "./repeats.js";
import { bareObject, droppedMesh, runObject } from "./subjects.js";
import { createTable, setVerdict } from "./table.js";

const byId = (id) => document.getElementById(id);
const state = { about: null, set: NO_SET, focus: null, subject: null, retry: null, details: null, view: null, prediction: null, projection: null };
const model = await openModel(byId("canvas"));
const list = createList((id) => openObject(id));
const queue = createQueue(list);
const images = createImagePanel((view) => chooseView(view));
const table = createTable({
  onZoom: (point) => model?.closeUp(point, state.details.views),
  onChoose: (index) => (labelling?.isOn ? labelling.choose(index) : focus(index), showClose(index)),
});
const labelling = model && createLabelling(model, byId("canvas"), {
  onSaved: (id, count) => list.markLabelled(id, count),
  onNext: () => openNext(),
  onOpen: (id) => openObject(id),
  onChoose: (index) => focus(index),
  onShow: (index) => showClose(index),
  onStates: (states) => table.setLabels(state.set.isPair ? null : states),
  onRepeat: () => showRepeats().catch(failed),
});
const panels = createPanels(state, { model, images, table, labelling }, updateAddress);
let opening = new AbortController();

async function start() {
  try {
    state.about = await getJson("/about");
    const { landmark, landmarks, projections, labelling: mayLabel } = state.about;
    const title = landmark ?? (landmarks.names.length < 3 ? landmarks.names.join(", ") : `${landmarks.names.length} landmarks`);
    byId("landmark").textContent = title;
    document.title = `featurelib: ${title}`;
    showSet(createSet(landmarks));
    const address = readAddress();
    state.projection = projections.includes(address.projection) ? address.projection : (projections[0] ?? null);
    byId("projection").replaceChildren(...projections.map((name) => new Option(name, name, false, name === state.projection)));
    byId("projection").disabled = projections.length < 2;
    byId("try").disabled = !projections.length;
    byId("label-mode").hidden = !mayLabel || !labelling;
    list.setObjects(await readObjects(state.about));
    if (mayLabel && labelling) await Promise.all([queue.read(), showRepeats()]);
    if (mayLabel && labelling && address.label) switchLabelling(true);
    await Promise.all([readScores(), openAddress()]);
  } catch (error) {
    failed(error, start);
  }
}

/** Prepare the panels for the landmark set. */
function showSet(set) {
  state.set = set;
  document.body.classList.toggle("set", !set.isPair);
  for (const part of [table, images, list, model?.marks, labelling]) part?.setLandmarks(set);
}

/** Choose a landmark of a set in the list, the image and the model; null: none. */
function focus(index) {
  if (state.set.isPair) return;
  state.focus = index;
  for (const part of [table, images, model?.marks]) part?.focus(index);
  model?.refresh();
}

/** Show a landmark in close-up, if it has a position. */
function showClose(index) {
  const { title } = state.set.entries[index];
  const placed = labelling?.isOn ? labelling.points()[title] : null;
  const predicted = labelling?.isRepeat ? null : state.prediction?.landmarks[index].xyz;
  const point = Array.isArray(placed) ? placed : predicted;
  if (point && model?.mesh) model.closeUp(point, state.details.views);
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
  if (!found) return alertUser(`There is no object ${id}.`);
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

const mayLeave = () => !labelling?.isUnsaved() || confirm("The label is not saved. Discard it?");

/** Show a subject: its image, then the detection in it, then the model with the prediction. */
async function open(make, view, retry) {
  opening.abort();
  opening = new AbortController();
  const { signal } = opening;
  state.subject?.dispose();
  const subject = make(signal);
  Object.assign(state, { subject, retry, view, details: null, prediction: null });
  panels.begin(subject);
  queue.showReason(subject.id);
  labelling?.expect(!subject.isBare);
  if (labelling?.isOn) labelling.load(subject.id).catch((error) => failed(error));
  try {
    const details = await subject.details();
    if (signal.aborted) return;
    panels.beginDetails(subject, details);
    const mesh = panels.showMesh(subject, signal);
    mesh.catch(() => {}); // `await mesh` reports the error
    if (!subject.isBare) {
      await Promise.all([panels.showImage(subject, state.view, signal), panels.showDots(subject, state.view, signal)]);
      await Promise.all([panels.showPrediction(subject, mesh, signal), panels.showStrip(subject, signal)]);
    }
    await mesh;
  } catch (error) {
    if (!signal.aborted) failed(error, retry);
  }
}

async function chooseView(view) {
  const { subject } = state;
  const { signal } = opening;
  if (!state.details) state.view = view; // of an object that is still loading
  if (!panels.viewOf(view)) return;
  state.view = view;
  updateAddress();
  images.choose(view);
  if (model?.mesh) model.snap(panels.viewOf(view), state.details.centre);
  if (subject.isBare) return;
  try {
    await Promise.all([panels.showImage(subject, view, signal), panels.showDots(subject, view, signal)]);
  } catch (error) {
    if (!signal.aborted) failed(error, () => chooseView(view));
  }
}

function switchLabelling(isOn) {
  labelling.switch(isOn);
  byId("label-mode").ariaPressed = String(isOn);
  if (!state.subject) return; // the object in the address opens next
  updateAddress();
  if (isOn) labelling.load(state.subject.id).catch(failed);
}

/** Open the next object of the queue, and show the landmark that is meant. */
async function openNext() {
  const { id, landmark, message } = queue.next(state.subject?.id);
  if (!id) return setStatus("label-status", "done", message);
  if (id !== state.subject?.id) await openObject(id);
  if (id !== state.subject?.id) return; // another object was opened meanwhile
  queue.showReason(id);
  const entry = state.set.entries.find(({ name }) => name === landmark);
  if (!entry) return;
  labelling.choose(entry.index);
  showClose(entry.index);
}

function failed(error, retry) {
  for (const id of ["image-status", "model-status"]) {
    if (byId(id).dataset.state === "busy") setStatus(id, "failed", "failed");
  }
  if (!state.prediction) {
    setVerdict("failed", error.message);
    labelling?.setPrediction(null);
  }
  alertUser(error.message, retry);
}

function updateAddress() {
  const { subject, view, projection } = state;
  writeAddress({ object: subject?.id ?? null, view, projection, label: labelling?.isOn ?? false });
}

function step(steps) {
  const id = list.neighbour(steps);
  if (id !== null) openObject(id);
}

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
  state.retry?.();
});
addEventListener("beforeunload", (event) => labelling?.isUnsaved() && event.preventDefault());
addEventListener("popstate", () => openAddress().catch(failed));
acceptDrops((file) => state.projection && openFile(file));
if (model) showNames(model, byId("canvas"), (index) => state.set.entries[index].definition);
listenToKeys({
  next: () => step(1),
  previous: () => step(-1),
  changeView: (steps) => state.view !== null && chooseView(state.view + steps),
  search: list.focusSearch,
  press: (id) => !byId(id).hidden && byId(id).click(),
  filter: () => !state.set.isPair && table.focusFilter(),
  unfocus: () => focus(null),
  number: (number) => labelling?.isOn && labelling.showNumber(number),
  skip: (steps) => labelling?.isOn && labelling.skip(steps),
  finish: (withFlagged) => labelling?.isOn && labelling.finish(withFlagged),
  labels: (id) => labelling?.isOn && byId(id).offsetParent && byId(id).click(),
  unlabelled: () => labelling?.isOn && openNext(),
});

/** For the console, and for tests. */
globalThis.viewer = { state, model, labelling };
await start();
