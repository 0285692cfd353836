// The names of the landmarks of the model, shown at the pointer.

const RADIUS_PX = 10;

/** Show the name of the landmark under the pointer; `definitionOf` returns the text of an index. */
export function showNames(model, canvas, definitionOf) {
  const tip = document.getElementById("tip");
  let last = null; // the latest event, until the next frame

  function show() {
    const { clientX, clientY } = last;
    last = null;
    const dot = model.dotAt(clientX, clientY, RADIUS_PX);
    tip.hidden = !dot;
    if (!dot) return;
    const definition = definitionOf(dot.index);
    tip.textContent = `${dot.title}, ${dot.kind}${definition ? `: ${definition}` : ""}`;
    Object.assign(tip.style, { left: `${clientX}px`, top: `${clientY}px` });
  }

  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons) tip.hidden = true; // the model rotates
    else if (last) last = event;
    else {
      last = event;
      requestAnimationFrame(show);
    }
  });
  canvas.addEventListener("pointerleave", () => (tip.hidden = true));
}
