// The label that is shown: read, saved, merged with another person's, and undone.

import { ApiError } from "./api.js";
import { alertUser, setStatus } from "./alerts.js";
import { chooseMine, merge } from "./conflict.js";
import { createDraft } from "./draft.js";
import { NO_SET } from "./landmarks.js";
import { readLabel, repeatText, saveDraft } from "./saving.js";

/** Show a line about the label; its state is busy, open, done or failed. */
export const tell = (state, text) => setStatus("label-status", state, text);

/**
 * The label of one object at a time; `hooks` has onBegin(isSame) (a new draft, of the same object or another one),
 * onChange() (of the draft), onSaved(id, count), onOpen(id) and onRepeat().
 */
export function createSession(hooks) {
  let set = NO_SET;
  let object = null; // the label that was read, as of readLabel
  let draft = createDraft(set, []);
  let loading = null;
  let loads = 0; // counts objects, to ignore a label that arrives after another object was opened
  let isSaving = false;
  const saves = []; // {id, version, before} of each save, before as labels by index; the latest last

  function clear() {
    object = null;
    draft = createDraft(set, set.entries.map(() => null));
    hooks.onChange();
  }

  function begin(label, isSame) {
    object = label;
    draft = createDraft(set, label.labels);
    hooks.onBegin(isSame);
  }

  async function load(id) {
    const ticket = ++loads;
    clear();
    if (id === null) return tell("failed", "a dropped mesh is not stored, so it cannot be labelled");
    const label = await readLabel(id, set);
    if (ticket !== loads) return;
    begin(label, false);
    tell("done", draft.count() ? "as saved" : "no label yet");
  }

  /** Save the draft; return whether it is saved and still shown. */
  async function save(isUndo = false) {
    if (!object || isSaving) return false;
    if (!draft.maySave()) return draft.isUnsaved() && tell("open", "a pair is saved as a whole: place both"), false;
    isSaving = true;
    document.getElementById("label-save").disabled = true;
    tell("busy", "saving…");
    const [of, mine, ticket] = [object, draft, loads];
    const [sent, before] = [mine.labels(), mine.before()];
    try {
      const label = await saveDraft(of, mine, set);
      if (!mine.isRepeat) hooks.onSaved(of.id, sent.filter(Boolean).length);
      if (!mine.isRepeat && !isUndo) saves.push({ id: of.id, version: label.version, before });
      if (ticket !== loads) return false;
      begin(label, true);
      if (mine.isRepeat) hooks.onRepeat();
      else if (mine.labels() !== sent) draft.replace(mine.labels()); // changed while it was saved
      tell("done", mine.isRepeat ? repeatText(mine) : "saved");
      return true;
    } catch (error) {
      isSaving = false;
      return failed(error, of, mine, ticket, isUndo);
    } finally {
      isSaving = false;
    }
  }

  async function failed(error, of, mine, ticket, isUndo) {
    if (ticket !== loads) return alertUser(`The label of ${of.id} was not saved. ${error.message}`), false;
    hooks.onChange();
    tell("failed", "not saved");
    if (error instanceof ApiError && error.status === 409 && !mine.isRepeat) {
      return resolveConflict(of.id, mine).catch((fault) => (alertUser(`The label was not saved. ${fault.message}`), false));
    }
    alertUser(`The label was not saved. ${error.message}`, () => save(isUndo));
    return false;
  }

  /** Merge both labels; the user chooses where both changed the same landmark. */
  async function resolveConflict(id, mine) {
    const ticket = loads;
    const label = await readLabel(id, set);
    if (ticket !== loads) return false;
    begin(label, true);
    const [theirs, points] = [draft.points(), mine.points()];
    const { merged, conflicts } = merge(mine.base(), points, theirs);
    const rows = conflicts.map((index) => ({ title: set.entries[index].title, theirs: theirs[index], mine: points[index] }));
    if (rows.length && (await chooseMine(rows))) for (const index of conflicts) merged[index] = points[index];
    if (ticket !== loads) return false;
    draft.replace(merged.map((point, i) => (point === theirs[i] ? draft.label(i) : mine.label(i))));
    hooks.onChange();
    if (draft.isUnsaved()) return save();
    tell("done", "theirs was kept");
    return true;
  }

  /** Save again what the latest save has replaced, and show its object. */
  async function undoSave() {
    const last = saves.pop();
    if (!last) return;
    if (object?.id !== last.id) {
      hooks.onOpen(last.id);
      await loading;
    }
    if (object?.id !== last.id) return;
    if (object.version !== last.version) return tell("failed", "not undone: the label has changed since");
    draft.replace(draft.saved.map((label, index) => (last.before.has(index) ? last.before.get(index) : label)));
    if (await save(true)) tell("done", "the last save is undone");
  }

  return {
    get object() {
      return object;
    },
    get draft() {
      return draft;
    },
    get canUndo() {
      return draft.canUndo() || saves.length > 0;
    },
    setLandmarks(newSet) {
      set = newSet;
      clear();
    },
    load: (id) => (loading = load(id)),
    save,
    undoSave,
    /** Discard the changes and begin again; a repeat begins without labels. */
    restart(isRepeat) {
      draft = createDraft(set, draft.saved, isRepeat);
      hooks.onChange();
    },
  };
}
