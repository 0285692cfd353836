// What comes next while labelling: the objects that `featurelib suggest` names, the labels to look at again, or the
// objects without all their labels.

import { alertUser } from "./alerts.js";
import { getJson } from "./api.js";

const NAMES = { label: "suggested", review: "to review", open: "unlabelled" };

/** The queue over a list of objects. */
export function createQueue(list) {
  const [choice, select, reason] = ["queue-choice", "queue", "label-reason"].map((id) => document.getElementById(id));
  let queue = { label: [], review: [] };
  let at = -1; // the entry of the review that is shown

  select.addEventListener("change", () => (at = -1));

  const isOpen = (id) => list.find(id)?.labelled === false;

  /** The next suggested object without all its labels, after the one that is shown. */
  function nextSuggested(id) {
    const shown = queue.label.findIndex((entry) => entry.object_id === id);
    const around = [...queue.label.slice(shown + 1), ...queue.label.slice(0, Math.max(shown, 0))];
    return around.find((entry) => isOpen(entry.object_id)) ?? null;
  }

  const words = ({ landmark, kind, reason }) => [landmark, kind].filter(Boolean).join(": ") + (reason ? ` (${reason})` : "");

  return {
    /** Read the queue of the run; the first kind that has entries is chosen. */
    async read() {
      try {
        queue = await getJson("/queue");
      } catch (error) {
        queue = { label: [], review: [] };
        alertUser(error.message);
      }
      at = -1;
      const kinds = Object.keys(NAMES).filter((kind) => kind === "open" || queue[kind].length);
      const count = (kind) => (kind === "open" ? "" : ` (${queue[kind].length})`);
      select.replaceChildren(...kinds.map((kind) => new Option(NAMES[kind] + count(kind), kind)));
      choice.hidden = kinds.length < 2;
    },
    /** What comes after an object: {id, landmark}, or {message} if nothing is left. */
    next(id) {
      if (select.value === "review") {
        at = Math.min(at + 1, queue.review.length);
        const entry = queue.review[at];
        return entry ? { id: entry.object_id, landmark: entry.landmark } : { message: "no label is left to review" };
      }
      const suggested = select.value === "label" && nextSuggested(id);
      const next = suggested ? suggested.object_id : list.nextUnlabelled();
      return next ? { id: next, landmark: null } : { message: "every object has a label" };
    },
    /** Show why an object is in the queue. */
    showReason(id) {
      const suggested = queue.label.filter((entry) => entry.object_id === id && isOpen(id)).map((entry) => `Suggested: ${entry.reason}`);
      const suspect = queue.review.filter((entry) => entry.object_id === id);
      const entry = select.value === "review" && queue.review[at]?.object_id === id ? [queue.review[at]] : suspect;
      const lines = [...suggested, ...entry.map((one) => `Look again: ${words(one)}`)];
      reason.textContent = lines.join(" · ");
      reason.hidden = !lines.length;
    },
  };
}
