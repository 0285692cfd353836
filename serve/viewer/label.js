// Labels by hand: a click places the chosen landmark, a drag moves a point along the surface, and saving replaces only
// the version of the label that was read.

import { ApiError, getJson, sendJson } from "./api.js";
import { alertUser, setStatus } from "./alerts.js";
import { NO_SET } from "./landmarks.js";

const CLICK_PX = 4; // a pointer that moves further rotates the model
const GRAB_PX = 14;
const ABSENT = "absent"; // the label of a landmark that does not exist on the object

/** The labelling of the object shown; `hooks` has onSaved(id, count), onNext(), onChoose(index) and onStates(states). */
export function createLabelling(model, canvas, hooks) {
  const byId = (id) => document.getElementById(id);
  const [bar, take, reset, save] = ["labelling", "label-take", "label-reset", "label-save"].map(byId);
  let set = NO_SET;
  let isOn = false;
  let object = null; // {id, version, saved}, saved as points
  let points = []; // by index: [x, y, z], ABSENT or null
  let current = 0; // the index of the landmark that a click places
  let undone = []; // earlier points, the latest last
  let predicted = null;
  let press = null;
  let loads = 0; // counts objects, to ignore a label that arrives after another object was opened

  const path = (id) => `/labels/${encodeURIComponent(id)}`;
  const differs = (index) => String(points[index] ?? null) !== String(object.saved[index] ?? null);
  const changed = () => set.entries.filter(({ index }) => differs(index));
  const isChanged = () => changed().length > 0;
  const positions = () => points.map((point) => (point === ABSENT ? null : point));
  const count = (of) => set.entries.filter(({ index }) => of[index]).length;
  const maySave = () => object && isChanged() && (!set.isPair || count(points) === 2);

  function draw() {
    model.marks.setPoints("label", isOn ? positions() : []);
    hooks.onStates(isOn ? set.entries.map(({ index }) => (points[index] ? (points[index] === ABSENT ? "absent, labelled" : "labelled") : "")) : null);
    save.disabled = !maySave();
    reset.disabled = !(object && isChanged());
    take.disabled = !(object && predicted);
    byId("label-undo").disabled = !undone.length;
    for (const id of ["label-skip", "label-absent"]) byId(id).disabled = !object;
    model.refresh();
  }

  /** Change points, so that the change can be undone. */
  function change(next) {
    undone.push({ points, current });
    points = next;
    setStatus("label-status", "open", set.isPair ? "not saved yet" : `not saved yet; ${count(points)} of ${points.length} labelled`);
    draw();
  }

  const put = (index, point) => change(points.map((old, i) => (i === index ? point : old)));

  /** Make a landmark the one that the next click places. */
  function choose(index, isQuiet = false) {
    current = index;
    const entry = set.entries[index];
    if (set.isPair) bar.querySelector(`[name=side][value=${entry.role}]`).checked = true;
    byId("label-name").textContent = entry.name;
    byId("label-definition").textContent = entry.definition;
    byId("label-chip").className = `chip ${entry.role}`;
    if (!isQuiet) hooks.onChoose(index);
  }

  /** Choose the next landmark without a label, in the order of the set; the current one if there is none. */
  function chooseOpen() {
    const order = set.entries.map((_, i) => (current + 1 + i) % set.entries.length);
    choose(order.find((index) => !points[index]) ?? current);
  }

  const skip = (steps) => choose((current + steps + set.entries.length) % set.entries.length);

  function undo() {
    const last = undone.pop();
    if (!last) return;
    points = last.points;
    choose(last.current);
    setStatus("label-status", "open", isChanged() ? "not saved yet" : "as saved");
    draw();
  }

  async function load(id) {
    const ticket = ++loads;
    object = null;
    points = [];
    undone = [];
    predicted = null;
    draw();
    if (id === null) return setStatus("label-status", "failed", "a dropped mesh is not stored, so it cannot be labelled");
    const label = await getJson(path(id));
    if (ticket !== loads) return;
    accept(label);
    const known = count(points);
    const text = set.isPair || known === 0 || known === points.length ? "as saved" : `as saved; ${known} of ${points.length} labelled`;
    setStatus("label-status", "done", known ? text : "no label yet");
  }

  function accept({ object_id: id, points: named, version }) {
    const saved = set.entries.map(({ name }) => named[name]?.xyz ?? named[name] ?? null);
    object = { id, version, saved };
    points = [...saved];
    undone = [];
    const open = points.findIndex((point) => !point);
    choose(set.isPair || open < 0 ? 0 : open, true);
    draw();
  }

  const asJson = (point) => (Array.isArray(point) ? { xyz: point } : point);

  async function saveNow() {
    if (save.disabled) return;
    const [id, mine] = [object.id, points];
    save.disabled = true;
    setStatus("label-status", "busy", "saving…");
    const ticket = loads;
    try {
      const named = Object.fromEntries(changed().map(({ name, index }) => [name, asJson(mine[index] ?? null)]));
      const label = await sendJson("PUT", path(id), { points: named, version: object.version });
      hooks.onSaved(id, count(mine));
      if (ticket !== loads) return;
      const next = current;
      accept(label);
      if (!set.isPair) choose(next, true);
      setStatus("label-status", "done", "saved");
    } catch (error) {
      draw();
      setStatus("label-status", "failed", "not saved");
      if (error instanceof ApiError && error.status === 409) return resolveConflict(id, mine);
      alertUser(`The label was not saved. ${error.message}`, saveNow);
    }
  }

  /** Show both labels where they differ; the user chooses one. */
  async function resolveConflict(id, mine) {
    const label = await getJson(path(id));
    accept(label);
    const theirs = points;
    const text = (point) => (Array.isArray(point) ? point.map((value) => value.toFixed(2)).join(", ") : (point ?? "none"));
    const rows = set.entries.filter(({ index }) => set.isPair || String(theirs[index]) !== String(mine[index]));
    byId("conflict-rows").replaceChildren(
      ...rows.map(({ index, title }) => {
        const row = document.createElement("tr");
        row.innerHTML = '<th scope="row"></th><td></td><td></td>';
        [title, text(theirs[index]), text(mine[index])].forEach((cell, i) => (row.children[i].textContent = cell));
        return row;
      }),
    );
    const dialog = byId("conflict");
    dialog.returnValue = "theirs";
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    setStatus("label-status", "done", "theirs was kept");
    if (dialog.returnValue !== "mine") return;
    points = mine;
    draw();
    await saveNow();
  }

  /** The landmark whose visible point is under the pointer; the chosen one has priority. */
  function grabbed(event) {
    const offset = (point) => {
      const [x, y] = model.pagePosition(point);
      return Math.hypot(x - event.clientX, y - event.clientY);
    };
    const placed = positions().flatMap((point, index) => (point ? [{ point, index, offset: offset(point) }] : []));
    const near = placed.filter((each) => each.offset < GRAB_PX);
    near.sort((a, b) => Number(b.index === current) - Number(a.index === current) || a.offset - b.offset);
    return near.find(({ point }) => model.isVisible(point))?.index ?? null;
  }

  // In the capturing phase: the model must not rotate while a point is dragged.
  canvas.addEventListener("pointerdown", (event) => {
    if (!isOn || !object || event.button !== 0) return;
    press = { x: event.clientX, y: event.clientY, index: grabbed(event), isDrag: false };
    if (press.index === null) return;
    event.stopImmediatePropagation();
    choose(press.index);
    canvas.setPointerCapture(event.pointerId);
  }, true);
  canvas.addEventListener("pointermove", (event) => {
    if (!press || press.index === null) return;
    const begins = !press.isDrag && Math.hypot(event.clientX - press.x, event.clientY - press.y) >= CLICK_PX;
    const point = (press.isDrag || begins) && model.pick(event.clientX, event.clientY);
    if (!point) return;
    if (!press.isDrag) change([...points]); // a drag is undone as a whole
    press.isDrag = true;
    points[press.index] = point;
    draw();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!press) return;
    const isClick = Math.hypot(event.clientX - press.x, event.clientY - press.y) < CLICK_PX;
    const point = isClick && model.pick(event.clientX, event.clientY);
    press = null;
    if (!point) return;
    put(current, point);
    chooseOpen();
  });

  /** Place both landmarks of a pair, or those of a set that have no label yet, where they are predicted. */
  function takePrediction() {
    const at = (xyz) => xyz && model.closest(xyz).point;
    change(predicted.landmarks.map(({ xyz }, index) => (set.isPair ? at(xyz) : (points[index] ?? at(xyz)))));
  }

  function markAbsent() {
    put(current, points[current] === ABSENT ? null : ABSENT);
    if (points[current]) chooseOpen();
  }

  take.addEventListener("click", takePrediction);
  reset.addEventListener("click", () => {
    points = [...object.saved];
    undone = [];
    setStatus("label-status", "done", "as saved");
    draw();
  });
  save.addEventListener("click", saveNow);
  byId("label-next").addEventListener("click", () => hooks.onNext());
  byId("label-skip").addEventListener("click", () => skip(1));
  byId("label-absent").addEventListener("click", markAbsent);
  byId("label-undo").addEventListener("click", undo);
  for (const input of bar.querySelectorAll("[name=side]")) {
    input.addEventListener("change", () => choose(set.entries.findIndex(({ role }) => role === input.value)));
  }

  return {
    get isOn() {
      return isOn;
    },
    setLandmarks(newSet) {
      set = newSet;
      byId("label-take").textContent = set.isPair ? "Use the prediction" : "Use the prediction for the rest";
    },
    /** The points by title. */
    points: () => Object.fromEntries(set.entries.filter(({ index }) => points[index]).map(({ index, title }) => [title, points[index]])),
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
    chooseSide: (side) => set.isPair && choose(set.entries.findIndex(({ role }) => role === side)),
    skip: (steps) => !set.isPair && object && skip(steps),
    save: saveNow,
  };
}
