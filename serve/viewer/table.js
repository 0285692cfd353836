// The numbers below the pictures, and above them whether to trust the answer.

import { SIDES, SPREAD_68, length, minus } from "./geometry.js";

/** The verdict's states: what is said, and its mark for the style. */
const VERDICTS = {
  none: (says) => ["none", says ?? "Choose an object", ""],
  busy: () => ["busy", "Looking…", ""],
  failed: (says) => ["failed", "No answer", says],
};

/** Say what may be thought of an answer of /infer/3d, or one of VERDICTS. */
export function setVerdict(answer, says) {
  const [mark, head, text] = typeof answer === "string" ? VERDICTS[answer](says) : verdictOf(answer);
  const section = document.getElementById("verdict");
  section.dataset.verdict = mark;
  section.querySelector("strong").textContent = head;
  section.querySelector("span").textContent = text;
}

function verdictOf({ accepted, reason, method, left, right }) {
  if (accepted === null) return ["none", "No claim", `the run only makes one for its own choice of method, not for ${method}`];
  if (!accepted) return ["doubt", "Doubtful: check it", reason];
  const reach = Math.max(left.sigma_mm, right.sigma_mm) * SPREAD_68;
  return ["trust", "Accepted", `two of three answers like this are within ${reach.toFixed(2)} mm (${method})`];
}

/** The table; `onLook` is called with a point to look at from near. */
export function createTable(onLook) {
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
    row.innerHTML = `<th scope="row"><i class="chip ${side}"></i>${side}</th>${"<td></td>".repeat(6)}<td><button type="button">Look</button></td>`;
    cells.forEach((text, i) => (row.children[i + 1].textContent = text || "–"));
    const button = row.querySelector("button");
    button.ariaLabel = `Look at the ${side} landmark from near`;
    button.addEventListener("click", () => onLook(xyz));
    return row;
  }

  return {
    clear() {
      rows = [];
      body.replaceChildren();
      facts.textContent = "";
      copy.disabled = true;
    },
    /** Show an answer of /infer/3d, the true pair or null, and the distances to the surface by side or null. */
    set(answer, truth, toSurface) {
      rows = SIDES.map((side, i) => {
        const { xyz, sigma_mm: sigma } = answer[side];
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
  const area = Object.assign(document.createElement("textarea"), { value: text }); // pages without TLS have no clipboard
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
