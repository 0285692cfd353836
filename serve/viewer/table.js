// The numbers below the panels, and the verdict above them.

import { SIDES, SPREAD_68, length, minus } from "./geometry.js";

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

function verdictOf({ accepted, reason, method, left, right }) {
  if (accepted === null) return ["none", "No verdict", `uncertainty is calibrated for the run's own choice of method, not for ${method}`];
  if (!accepted) return ["doubt", "Flagged for review", reason];
  const radius = Math.max(left.sigma_mm, right.sigma_mm) * SPREAD_68.space;
  return ["trust", "Accepted", `68 % of such predictions are within ${radius.toFixed(2)} mm (${method})`];
}

/** The table; it calls `onZoom` with a point to show in close-up. */
export function createTable(onZoom) {
  const [body, copy, facts] = ["rows", "copy", "facts"].map((id) => document.getElementById(id));
  let rows = [];

  copy.addEventListener("click", async () => {
    const lines = rows.map((row) => [row.side, ...row.cells].join("\t"));
    await toClipboard(["side\tx_mm\ty_mm\tz_mm\tsigma_mm\tto_surface_mm\terror_mm", ...lines].join("\n"));
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  });

  function line({ side, cells, xyz }) {
    const row = document.createElement("tr");
    row.innerHTML = `<th scope="row"><i class="chip ${side}"></i>${side}</th>${"<td></td>".repeat(6)}<td><button type="button">Zoom</button></td>`;
    cells.forEach((text, i) => (row.children[i + 1].textContent = text || "–"));
    const button = row.querySelector("button");
    button.ariaLabel = `Zoom to the ${side} landmark`;
    button.addEventListener("click", () => onZoom(xyz));
    return row;
  }

  return {
    clear() {
      rows = [];
      body.replaceChildren();
      facts.textContent = "";
      copy.disabled = true;
    },
    /** Show a response of /infer/3d, the true pair or null, and the distances to the surface by side or null. */
    set(prediction, truth, toSurface) {
      rows = SIDES.map((side, i) => {
        const { xyz, sigma_mm: sigma } = prediction[side];
        const error = truth && length(minus(xyz, truth[i]));
        const cells = [...xyz, sigma, toSurface?.[side], error].map((value) => (value == null ? "" : value.toFixed(2)));
        return { side, cells, xyz };
      });
      body.replaceChildren(...rows.map(line));
      copy.disabled = false;
    },
    setFacts(text) {
      facts.textContent = text;
    },
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
