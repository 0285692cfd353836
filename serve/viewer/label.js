// Labels by hand: a click places the chosen side, a drag moves a point along the surface, and saving replaces only the
// version of the label that was read.

import { ApiError, getJson, sendJson } from "./api.js";
import { alertUser, setStatus } from "./alerts.js";
import { SIDES } from "./geometry.js";

const CLICK_PX = 4; // a pointer that moves further rotates the model
const GRAB_PX = 14;

/** The labelling of the object shown; `hooks` has onSaved(id), onNext(). */
export function createLabelling(model, canvas, hooks) {
  const byId = (id) => document.getElementById(id);
  const [bar, take, reset, save] = ["labelling", "label-take", "label-reset", "label-save"].map(byId);
  let isOn = false;
  let object = null; // {id, version, saved: {left, right} or {}}
  let points = {};
  let predicted = null;
  let press = null;
  let loads = 0; // counts objects, to ignore a label that arrives after another object was opened

  const side = () => bar.querySelector("[name=side]:checked").value;
  const path = (id) => `/labels/${encodeURIComponent(id)}`;
  const isComplete = () => SIDES.every((each) => points[each]);
  const isChanged = () => SIDES.some((each) => String(points[each]) !== String(object?.saved[each]));

  function draw() {
    for (const each of SIDES) model.marks.setDot("label", each, isOn ? points[each] : null);
    save.disabled = !(object && isComplete() && isChanged());
    reset.disabled = !(object && isChanged());
    take.disabled = !(object && predicted);
    model.refresh();
  }

  function place(which, point) {
    points = { ...points, [which]: point };
    setStatus("label-status", "open", "not saved yet");
    draw();
  }

  function choose(which) {
    bar.querySelector(`[name=side][value=${which}]`).checked = true;
  }

  async function load(id) {
    const ticket = ++loads;
    object = null;
    points = {};
    predicted = null;
    draw();
    if (id === null) return setStatus("label-status", "failed", "a dropped mesh is not stored, so it cannot be labelled");
    const label = await getJson(path(id));
    if (ticket !== loads) return;
    accept(label);
    setStatus("label-status", "done", isComplete() ? "as saved" : "no label yet");
  }

  function accept({ object_id: id, left_mm: left, right_mm: right, version }) {
    object = { id, version, saved: left ? { left, right } : {} };
    points = { ...object.saved };
    choose("left");
    draw();
  }

  async function saveNow() {
    if (save.disabled) return;
    const [id, mine] = [object.id, points];
    save.disabled = true;
    setStatus("label-status", "busy", "saving…");
    const ticket = loads;
    try {
      const body = { left_mm: mine.left, right_mm: mine.right, version: object.version };
      const label = await sendJson("PUT", path(id), body);
      hooks.onSaved(id);
      if (ticket !== loads) return;
      accept(label);
      setStatus("label-status", "done", "saved");
    } catch (error) {
      draw();
      setStatus("label-status", "failed", "not saved");
      if (error instanceof ApiError && error.status === 409) return resolveConflict(id, mine);
      alertUser(`The label was not saved. ${error.message}`, saveNow);
    }
  }

  /** Show both labels; the user chooses one. */
  async function resolveConflict(id, mine) {
    const theirs = await getJson(path(id));
    const text = (point) => (point ? point.map((value) => value.toFixed(2)).join(", ") : "none");
    byId("conflict-rows").replaceChildren(
      ...SIDES.map((each) => {
        const row = document.createElement("tr");
        row.innerHTML = `<th scope="row">${each}</th><td></td><td></td>`;
        row.children[1].textContent = text(theirs[`${each}_mm`]);
        row.children[2].textContent = text(mine[each]);
        return row;
      }),
    );
    const dialog = byId("conflict");
    dialog.returnValue = "theirs";
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    accept(theirs);
    setStatus("label-status", "done", "theirs was kept");
    if (dialog.returnValue !== "mine") return;
    points = mine;
    draw();
    await saveNow();
  }

  /** The side whose visible point is under the pointer; the chosen side has priority. */
  function grabbed(event) {
    const isNear = (each) => {
      const [x, y] = model.pagePosition(points[each]);
      return Math.hypot(x - event.clientX, y - event.clientY) < GRAB_PX && model.isVisible(points[each]);
    };
    const order = [side(), ...SIDES.filter((each) => each !== side())];
    return order.find((each) => points[each] && isNear(each)) ?? null;
  }

  // In the capturing phase: the model must not rotate while a point is dragged.
  canvas.addEventListener("pointerdown", (event) => {
    if (!isOn || !object || event.button !== 0) return;
    press = { x: event.clientX, y: event.clientY, side: grabbed(event) };
    if (!press.side) return;
    event.stopImmediatePropagation();
    choose(press.side);
    canvas.setPointerCapture(event.pointerId);
  }, true);
  canvas.addEventListener("pointermove", (event) => {
    const isDrag = press?.side && Math.hypot(event.clientX - press.x, event.clientY - press.y) >= CLICK_PX;
    const point = isDrag && model.pick(event.clientX, event.clientY);
    if (point) place(press.side, point);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!press) return;
    const isClick = Math.hypot(event.clientX - press.x, event.clientY - press.y) < CLICK_PX;
    const point = isClick && model.pick(event.clientX, event.clientY);
    press = null;
    if (!point) return;
    const which = side();
    place(which, point);
    const other = SIDES.find((each) => each !== which);
    if (!points[other]) choose(other);
  });

  take.addEventListener("click", () => {
    for (const each of SIDES) place(each, model.closest(predicted[each].xyz).point);
  });
  reset.addEventListener("click", () => {
    points = { ...object.saved };
    setStatus("label-status", "done", "as saved");
    draw();
  });
  save.addEventListener("click", saveNow);
  byId("label-next").addEventListener("click", () => hooks.onNext());

  return {
    get isOn() {
      return isOn;
    },
    points: () => points,
    isUnsaved: () => Boolean(object && isChanged()),
    switch(on) {
      isOn = on;
      bar.hidden = !on;
      draw();
    },
    load,
    /** Take a response of /infer/3d, from which a label may start. */
    setPrediction(response) {
      predicted = response;
      draw();
    },
    choose,
    save: saveNow,
  };
}
