// The bar of the labelling: the landmark that a click places, what is labelled and proposed, and which keys apply.

import { ABSENT } from "./draft.js";

const byId = (id) => document.getElementById(id);

/** Show the landmark that the next click places. */
export function showCurrent(entry, isPair) {
  if (isPair) document.querySelector(`#labelling [name=side][value=${entry.role}]`).checked = true;
  byId("label-name").textContent = entry.name;
  byId("label-definition").textContent = entry.definition;
  byId("label-chip").className = `chip ${entry.role}`;
}

/** Show how much of a draft is labelled and proposed. */
export function showCounts(draft, set) {
  const proposed = draft.open();
  const flagged = proposed.filter(({ index }) => draft.proposal(index).isFlagged).length;
  const words = [`${draft.count()} of ${set.entries.length} labelled`, proposed.length && `${proposed.length} proposed`, flagged && `${flagged} flagged`];
  byId("label-count").textContent = words.filter(Boolean).join(", ");
}

/** Enable the buttons that do something; `draft` is null before a label is read. */
export function enableButtons(draft, { hasPrediction, canUndo }) {
  const isLabel = draft && !draft.isRepeat;
  const enabled = {
    accept: draft, one: draft?.open().length, skip: draft, absent: isLabel, undo: draft && canUndo, take: isLabel && hasPrediction,
    repeat: draft?.canRepeat(), reset: draft && (draft.isUnsaved() || draft.isRepeat), save: draft?.maySave(),
  };
  for (const [name, isEnabled] of Object.entries(enabled)) byId(`label-${name}`).disabled = !isEnabled;
  byId("label-repeat").ariaPressed = String(Boolean(draft?.isRepeat));
}

/** The word of the list for a landmark of a draft; `repeatMm` is the distance between its independent marks, if known. */
export function labelState(draft, index, repeatMm) {
  const [proposal, label] = [draft.proposal(index), draft.label(index)];
  if (proposal) return ["proposal", proposal.point === ABSENT && "absent", proposal.isFlagged && "flagged"].filter(Boolean).join(", ");
  if (!label) return "missing";
  const word = label.point === ABSENT ? "absent, labelled" : "labelled";
  return repeatMm === undefined || draft.isRepeat ? word : `${word}, repeat ${repeatMm.toFixed(2)} mm`;
}
