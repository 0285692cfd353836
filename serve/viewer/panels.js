// The panels: how each part of a subject reaches them.

import { clearAlerts, setStatus } from "./alerts.js";
import { plainCameras } from "./geometry.js";
import { marksOf } from "./image.js";
import { setVerdict } from "./table.js";

const NOT_RENDERED = "This object was not rendered, so it has no images.";

/** Return the 3D panel, or null if the installation has no three.js or the browser no WebGL. */
export async function openModel(canvas) {
  try {
    const { createModel } = await import("./model.js");
    return createModel(canvas);
  } catch (error) {
    setModelText(
      /WebGL/i.test(error.message)
        ? "This browser has no WebGL, so there is no 3D panel."
        : "This installation has no three.js, so there is no 3D panel. `make setup` with npm adds it.",
    );
    return null;
  }
}

function setModelText(text) {
  const empty = document.querySelector("#model .empty");
  empty.textContent = text;
  empty.hidden = !text;
}

/** The panels of a page's state; `updateAddress` is called when the chosen view changes. */
export function createPanels(state, { model, images, table, labelling }, updateAddress) {
  const isAbsent = (index) => state.prediction?.landmarks[index].present === false;
  const viewOf = (view) => state.details?.views.find((each) => each.view === view);

  /** Clear the panels for a new subject. */
  function begin(subject) {
    updateAddress();
    if (model) setModelText("");
    clearAlerts();
    table.clear();
    model?.clear();
    images.begin([]);
    setVerdict(subject.isBare ? "none" : "busy", "No prediction: it is not in the run");
    setStatus("image-status", subject.isBare ? "done" : "busy", subject.isBare ? "" : "loading…");
    setStatus("model-status", "busy", "loading…");
  }

  /** Show the details of a subject, before its parts arrive. */
  function beginDetails(subject, details) {
    state.details = details;
    table.setFacts(details.facts);
    images.begin(details.views, subject.isBare ? NOT_RENDERED : "");
    if (!subject.isBare && !viewOf(state.view)) state.view = Math.floor(details.views.length / 2);
    updateAddress();
  }

  async function showImage(subject, view, signal) {
    images.choose(view);
    const url = await subject.image(view);
    if (!signal.aborted) await images.setImage(view, url);
  }

  async function showDots(subject, view, signal) {
    setStatus("image-status", "busy", "detecting…");
    const found = await subject.find2d(view);
    if (signal.aborted || view !== state.view) return;
    images.setDots(view, marksOf(state.set, viewOf(view), found, isAbsent));
    setStatus("image-status", "done", `detected in ${time(found.ms)}`);
  }

  async function showPrediction(subject, mesh, signal) {
    setStatus("model-status", "busy", "predicting…");
    const prediction = await subject.find3d();
    if (signal.aborted) return;
    state.prediction = prediction;
    setVerdict(prediction);
    for (const found of prediction.views) images.setDots(found.view, marksOf(state.set, viewOf(found.view), found, isAbsent));
    model?.marks.setPrediction(prediction, state.details.views);
    labelling?.setPrediction(prediction);
    table.set(prediction, state.details.truth, null);
    setStatus("model-status", "done", `${prediction.method} in ${time(prediction.timings_ms.total)}`);
    model?.refresh();
    await mesh;
    if (!signal.aborted && model?.mesh) table.set(prediction, state.details.truth, toSurface(prediction));
  }

  async function showMesh(subject, signal) {
    if (!model) return;
    const glb = await subject.glb().catch((error) => {
      if (error.status !== 404 || subject.isBare) throw error;
      setModelText(error.message); // the prediction does not need it
    });
    if (signal.aborted) return;
    if (glb) await model.setMesh(glb);
    if (signal.aborted) return;
    if (subject.isBare) addDefaultViews(state.details);
    const { centre, truth, views } = state.details;
    model.snap(viewOf(state.view) ?? views[0], centre);
    model.marks.setTruth(truth);
    if (state.prediction) model.marks.setPrediction(state.prediction, views);
    else if (subject.isBare) setStatus("model-status", "done", "");
    labelling?.switch(labelling.isOn);
    model.refresh();
  }

  /** Give a mesh that was not rendered the default rig's cameras, scaled to its size. */
  function addDefaultViews(details) {
    const { centre, size } = model.bounds();
    Object.assign(details, { centre, views: plainCameras(centre, 0.6 * size) });
    state.view = details.views[state.view] ? state.view : 4;
    images.begin(details.views, NOT_RENDERED);
    images.choose(state.view);
    updateAddress();
  }

  async function showStrip(subject, signal) {
    for (const { view } of state.details.views) {
      const url = await subject.image(view);
      if (signal.aborted) return;
      if (view !== state.view) await images.setImage(view, url);
    }
  }

  function toSurface(prediction) {
    return prediction.landmarks.map(({ xyz }) => xyz && model.closest(xyz).distance);
  }

  return { begin, beginDetails, viewOf, showImage, showDots, showMesh, showPrediction, showStrip };
}

const time = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
