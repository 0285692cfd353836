// Labels by hand, as a loop: the model's answers are proposals, a key accepts them, a drag corrects what is wrong, and
// the next object opens. A proposal is no label until a key accepts it.

import { enableButtons, labelState, showCounts, showCurrent } from "./bar.js";
import { ABSENT, positions } from "./draft.js";
import { NO_SET } from "./landmarks.js";
import { listenToPointer } from "./pointer.js";
import { createSession, tell } from "./session.js";

const byId = (id) => document.getElementById(id);

/**
 * The labelling of the object shown; `hooks` has onSaved(id, count), onNext(), onOpen(id), onChoose(index), onShow(index)
 * (in close-up), onStates(states by index, or null) and onRepeat().
 */
export function createLabelling(model, canvas, hooks) {
  let set = NO_SET;
  let isOn = false;
  let predicted = null;
  let answers = null; // the prediction on the surface: {point, isFlagged} by index or null
  let isWaiting = false; // for a prediction
  let current = 0; // the index of the landmark that a click places
  const session = createSession({ ...hooks, onBegin, onChange: () => draw() });
  const draft = () => session.draft;

  /** Whether the label, the mesh and the proposals, if there will be any, are shown. */
  const isReady = () => Boolean(isOn && session.object && !isWaiting && model.mesh);

  function onSurface({ xyz, present, accepted }) {
    const point = xyz ? model.closest(xyz).point : present === false && !set.isPair ? ABSENT : null;
    return point && { point, isFlagged: accepted === false };
  }

  function draw() {
    const object = isOn ? session.object : null;
    if (object && predicted && model.mesh) answers ??= predicted.landmarks.map(onSurface);
    if (object && answers && !draft().hasProposals) draft().propose(answers);
    const proposed = set.entries.map(({ index }) => draft().proposal(index)?.point ?? null);
    const isBlind = isOn && draft().isRepeat;
    model.marks.setPoints("label", object ? positions(draft().points()) : []);
    model.marks.setPoints("proposal", object ? positions(proposed) : []);
    model.marks.setBlind(isBlind);
    document.body.classList.toggle("blind", isBlind);
    hooks.onStates(object && set.entries.map(({ index, name }) => labelState(draft(), index, object.repeats[name])));
    showCounts(draft(), set);
    enableButtons(object && draft(), { hasPrediction: answers, canUndo: session.canUndo });
    model.refresh();
  }

  /** Draw a change that was made. */
  function changed() {
    tell("open", draft().isUnsaved() ? "not saved yet" : "as saved");
    draw();
  }

  function onBegin(isSame) {
    const missing = set.entries.find(draft().isMissing)?.index ?? 0;
    choose(set.isPair ? 0 : isSame ? current : missing, true);
    draw();
  }

  /** Make a landmark the one that the next click places. */
  function choose(index, isQuiet = false) {
    current = index;
    showCurrent(set.entries[index], set.isPair);
    if (!isQuiet) hooks.onChoose(index);
  }

  function show(index) {
    choose(index);
    hooks.onShow(index);
  }

  /** The entries in the order of the set, from the one after the current one. */
  const around = () => set.entries.map((_, i) => set.entries[(current + 1 + i) % set.entries.length]);
  const chooseMissing = () => choose(around().find(draft().isMissing)?.index ?? current);
  const skip = (steps) => choose((current + steps + set.entries.length) % set.entries.length);

  /** Accept the current landmark's proposal, and show the next one in close-up. */
  function acceptOne() {
    if (draft().proposal(current)) draft().accept([set.entries[current]], current);
    const next = around().find(({ index }) => draft().proposal(index));
    if (next) show(next.index);
    changed();
  }

  /** Accept the proposals, flagged ones only if asked to, save, and open the next object if no proposal is left. */
  async function finish(withFlagged) {
    if (draft().isRepeat) return session.save();
    if (!isReady()) return tell("open", "the proposals are not there yet");
    const entries = draft().open().filter(({ index }) => withFlagged || !draft().proposal(index).isFlagged);
    if (entries.length) draft().accept(entries, current);
    draw();
    if (draft().isUnsaved() && !(await session.save())) return;
    const left = draft().open();
    if (!left.length) return hooks.onNext();
    show(left[0].index);
    const those = left.length === 1 ? "1 flagged proposal is" : `${left.length} flagged proposals are`;
    tell("open", `${those} left: O accepts one, Shift+P all`);
  }

  function undo() {
    if (!draft().canUndo()) return session.undoSave();
    choose(draft().undo() ?? current);
    changed();
  }

  listenToPointer(canvas, model, {
    isActive: () => isOn && session.object,
    points: () => positions(draft().points().map((point, index) => point ?? draft().proposal(index)?.point ?? null)),
    current: () => current,
    beginDrag(index) {
      draft().put(index, draft().label(index)?.point ?? draft().proposal(index).point, current);
      choose(index);
    },
    drag(index, point) {
      draft().move(index, point);
      changed();
    },
    /** Place the current landmark; a click on another one's point chooses that, if the current one has a point. */
    click(point, index) {
      const isPlaced = draft().label(current) || draft().proposal(current);
      if (isPlaced && index !== null && index !== current) return choose(index);
      draft().put(current, point);
      chooseMissing();
      changed();
    },
  });

  /** Place both landmarks of a pair, or those of a set that have no label yet, where they are predicted. */
  function takePrediction() {
    if (set.isPair) draft().replace(answers.map((answer) => answer && { point: answer.point, source: "proposal" }), current);
    else draft().accept(draft().open(), current);
    changed();
  }

  function markAbsent() {
    const isProposed = draft().proposal(current)?.point === ABSENT;
    if (isProposed) draft().accept([set.entries[current]], current);
    else draft().put(current, draft().label(current)?.point === ABSENT ? null : ABSENT);
    if (draft().label(current)) chooseMissing();
    changed();
  }

  /** Begin or end marks that depend on nothing that is shown. */
  function switchRepeat() {
    if (!draft().isRepeat && draft().isUnsaved()) return tell("open", "save or reset the label first");
    session.restart(!draft().isRepeat);
    model.fit();
    if (draft().isRepeat) choose(set.entries.find(draft().isMissing).index);
    tell("open", draft().isRepeat ? "mark again; the label is hidden and stays" : "as saved");
  }

  function reset() {
    session.restart(false);
    tell("done", "as saved");
  }

  const clicks = {
    accept: ({ shiftKey }) => finish(shiftKey), one: acceptOne, skip: () => skip(1), absent: markAbsent, undo, take: takePrediction,
    repeat: switchRepeat, reset, save: () => session.save(), next: () => hooks.onNext(),
  };
  for (const [name, onClick] of Object.entries(clicks)) byId(`label-${name}`).addEventListener("click", onClick);
  for (const input of document.querySelectorAll("#labelling [name=side]")) {
    input.addEventListener("change", () => choose(set.entries.findIndex(({ role }) => role === input.value)));
  }

  return {
    get isOn() {
      return isOn;
    },
    get isRepeat() {
      return isOn && draft().isRepeat;
    },
    isReady,
    setLandmarks(newSet) {
      set = newSet;
      session.setLandmarks(set);
      byId("label-take").textContent = set.isPair ? "Use the prediction" : "Use the prediction for the rest";
    },
    /** The labels' points by title: [x, y, z], or `absent`. */
    points: () => Object.fromEntries(set.entries.filter(({ index }) => draft().label(index)).map(({ index, title }) => [title, draft().label(index).point])),
    /** The proposals that are not accepted: [{title, point, isFlagged}]. */
    proposals: () => draft().open().map(({ index, title }) => ({ title, ...draft().proposal(index) })),
    isUnsaved: () => Boolean(session.object && draft().isUnsaved()),
    switch(on) {
      isOn = on;
      byId("labelling").hidden = !on;
      document.body.classList.toggle("labels", on);
      draw();
    },
    load: session.load,
    /** Forget the last object's prediction; another one follows if `isPredicted`. */
    expect(isPredicted) {
      predicted = answers = null;
      isWaiting = isPredicted;
    },
    /** Take a response of /infer/3d, whose answers are proposals; null if there is none. */
    setPrediction(response) {
      predicted = response;
      answers = null;
      isWaiting = false;
      draw();
    },
    choose,
    /** Show the landmark of a number in the list, from 1; return whether there is one. */
    showNumber(number) {
      const isKnown = number >= 1 && number <= set.entries.length;
      if (isKnown) show(number - 1);
      return isKnown;
    },
    skip: (steps) => !set.isPair && session.object && skip(steps),
    finish,
  };
}
