// The list of landmarks with their numbers and states, and the verdict above the panels.

import { SPREAD_68, length, minus } from "./geometry.js";
import { NO_SET, stateOf } from "./landmarks.js";

/** The verdict without a prediction: its style, its heading and its text. */
const VERDICTS = {
  none: (text) => ["none", text ?? "Choose an object", ""],
  busy: () => ["busy", "Predicting…", ""],
  failed: (text) => ["failed", "No prediction", text],
};

/** Show the verdict on a response of /infer/3d, or one of VERDICTS. */
export function setVerdict(prediction, message) {
  const [mark, head, text] = typeof prediction === "string" ? VERDICTS[prediction](message) : verdictOf(prediction);
  const section = document.getElementById("verdict");
  section.dataset.verdict = mark;
  section.querySelector("strong").textContent = head;
  section.querySelector("span").textContent = text;
}

function verdictOf({ accepted, reason, method, landmarks }) {
  if (accepted === null) return ["none", "No verdict", `uncertainty is calibrated for the run's own choice of method, not for ${method}`];
  if (!accepted) return ["doubt", flagged(landmarks), reason];
  const radii = landmarks.filter(({ xyz }) => xyz).map(({ sigma_mm: sigma }) => sigma * SPREAD_68.space);
  const radius = Math.max(...radii).toFixed(2);
  if (landmarks.length === 2) return ["trust", "Accepted", `68 % of such predictions are within ${radius} mm (${method})`];
  const least = Math.min(...radii).toFixed(2);
  return ["trust", "Accepted", `68 % of such predictions are within ${least} to ${radius} mm, by landmark (${method})`];
}

function flagged(landmarks) {
  const count = landmarks.filter(({ accepted }) => !accepted).length;
  return landmarks.length === 2 || count === landmarks.length
    ? "Flagged for review"
    : `${count} of ${landmarks.length} landmarks flagged for review`;
}

/** The table; it calls `onZoom` with a point to show in close-up, and `onChoose` with the index of a clicked landmark. */
export function createTable({ onZoom, onChoose }) {
  const ids = ["rows", "copy", "facts", "filter", "shown"];
  const [body, copy, facts, filter, shown] = ids.map((id) => document.getElementById(id));
  let set = NO_SET;
  let rows = []; // of all landmarks, in the order of the set: {entry, row, cells, xyz}
  let content = null; // what `set` was given
  let labels = null; // the states of the labels by index, while labelling

  copy.addEventListener("click", async () => {
    const lines = rows.map(({ entry, cells, state }) => [entry.title, ...cells, ...(set.isPair ? [] : [state])].join("\t"));
    const columns = [set.isPair ? "side" : "landmark", "x_mm", "y_mm", "z_mm", "sigma_mm", "to_surface_mm", "error_mm"];
    await toClipboard([[...columns, ...(set.isPair ? [] : ["state"])].join("\t"), ...lines].join("\n"));
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  });
  filter.addEventListener("input", applyFilter);

  function line(entry) {
    const row = document.createElement("tr");
    row.innerHTML =
      `<th scope="row"><i class="chip ${entry.role}"></i><span></span></th>${"<td></td>".repeat(6)}` +
      '<td class="set-only state"></td><td class="pair-only"><button type="button">Zoom</button></td>';
    row.querySelector("span").textContent = entry.title;
    row.querySelector("th").dataset.number = entry.index + 1;
    row.title = entry.definition;
    const button = row.querySelector("button");
    button.ariaLabel = `Zoom to the ${entry.title} landmark`;
    const made = { entry, row, cells: [], state: "", xyz: null };
    button.addEventListener("click", () => onZoom(made.xyz));
    if (set.isPair) return made;
    row.tabIndex = 0;
    row.addEventListener("click", () => onChoose(entry.index));
    row.addEventListener("keydown", ({ key }) => key === "Enter" && onChoose(entry.index));
    return made;
  }

  /** Write the numbers and states into the rows. */
  function draw() {
    const { prediction, truth, toSurface } = content ?? {};
    const largest = Math.max(...(prediction?.landmarks.map(({ sigma_mm: sigma }) => sigma ?? 0) ?? []));
    for (const line of rows) {
      const { index } = line.entry;
      const found = prediction?.landmarks[index];
      const error = found?.xyz && truth?.[index] && length(minus(found.xyz, truth[index]));
      const numbers = [...(found?.xyz ?? [null, null, null]), found?.sigma_mm, toSurface?.[index], error];
      line.cells = numbers.map((value) => (value == null ? "" : value.toFixed(2)));
      line.xyz = found?.xyz ?? null;
      line.state = labels?.[index] || (found ? stateOf(found) : "");
      line.cells.forEach((text, i) => (line.row.children[i + 1].textContent = text || "–"));
      const [sigma, state] = [line.row.children[4], line.row.children[7]];
      sigma.style.setProperty("--share", found?.sigma_mm ? found.sigma_mm / largest : 0);
      Object.assign(state, { textContent: line.state || "–", title: found?.reason ?? "" });
      state.dataset.state = line.state;
    }
    body.replaceChildren(...(content || labels ? rows.map(({ row }) => row) : []));
    copy.disabled = !content;
    applyFilter();
  }

  function applyFilter() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { entry, row, state } of rows) {
      const text = `${entry.title} ${state}`.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      count += Number(!row.hidden);
    }
    shown.textContent = `${count} of ${rows.length} landmarks`;
  }

  return {
    setLandmarks(newSet) {
      set = newSet;
      rows = set.entries.map(line);
      draw();
    },
    clear() {
      content = null;
      facts.textContent = "";
      draw();
    },
    /** Show a response of /infer/3d, the true points or null, and the distances to the surface by index or null. */
    set(prediction, truth, toSurface) {
      content = { prediction, truth, toSurface };
      draw();
    },
    /** Show the states of labels by index; null: none. */
    setLabels(states) {
      labels = states;
      draw();
    },
    /** Mark the chosen landmark; null: none. */
    focus(index) {
      for (const { entry, row } of rows) {
        row.ariaSelected = set.isPair ? null : String(entry.index === index);
        if (entry.index === index) row.scrollIntoView({ block: "nearest" });
      }
    },
    setFacts(text) {
      facts.textContent = text;
    },
    focusFilter: () => filter.focus(),
  };
}

async function toClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = Object.assign(document.createElement("textarea"), { value: text }); // a page without TLS has no clipboard
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
