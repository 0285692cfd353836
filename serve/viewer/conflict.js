// Two people label the same object: what only one of them changed is merged, the rest is theirs to decide.

import { length, minus } from "./geometry.js";

const SAME_MM = 1e-3; // a saved position is rounded

const isSame = (one, other) =>
  Array.isArray(one) && Array.isArray(other) ? length(minus(one, other)) < SAME_MM : String(one) === String(other);

/**
 * Merge two changes of the same points, by index: `merged` has what only one of both changed, and theirs elsewhere;
 * `conflicts` are the indices that both changed to different points.
 */
export function merge(base, mine, theirs) {
  const isTheirs = (i) => isSame(mine[i], base[i]) || isSame(mine[i], theirs[i]);
  const conflicts = mine.flatMap((point, i) => (isTheirs(i) || isSame(theirs[i], base[i]) ? [] : [i]));
  const merged = mine.map((point, i) => (isTheirs(i) || conflicts.includes(i) ? theirs[i] : point));
  return { merged, conflicts };
}

/** Show both points of each row, {title, theirs, mine}; return whether the user chose mine. */
export async function chooseMine(rows) {
  const text = (point) => (Array.isArray(point) ? point.map((value) => value.toFixed(2)).join(", ") : (point ?? "none"));
  document.getElementById("conflict-rows").replaceChildren(
    ...rows.map(({ title, theirs, mine }) => {
      const row = document.createElement("tr");
      row.innerHTML = '<th scope="row"></th><td></td><td></td>';
      [title, text(theirs), text(mine)].forEach((cell, i) => (row.children[i].textContent = cell));
      return row;
    }),
  );
  const dialog = document.getElementById("conflict");
  dialog.returnValue = "theirs";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  return dialog.returnValue === "mine";
}
