// The pointer on the model while labelling: a click places a point, a drag moves one along the surface.

const CLICK_PX = 4; // a pointer that moves further rotates the model
const GRAB_PX = 14;

/**
 * Listen to the pointer; `actions` has isActive(), points() by index, current() (an index, first of several points
 * under the pointer), click(point, index under the pointer or null), beginDrag(index) and drag(index, point).
 */
export function listenToPointer(canvas, model, actions) {
  let press = null;

  /** The index of the visible point under the pointer; the current one has priority. */
  function grabbed(event) {
    const offset = (point) => {
      const [x, y] = model.pagePosition(point);
      return Math.hypot(x - event.clientX, y - event.clientY);
    };
    const isCurrent = ({ index }) => index === actions.current();
    const placed = actions.points().flatMap((point, index) => (point ? [{ point, index, offset: offset(point) }] : []));
    const near = placed.filter((each) => each.offset < GRAB_PX);
    near.sort((a, b) => isCurrent(b) - isCurrent(a) || a.offset - b.offset);
    return near.find(({ point }) => model.isVisible(point))?.index ?? null;
  }

  const moved = (event) => Math.hypot(event.clientX - press.x, event.clientY - press.y) >= CLICK_PX;

  // In the capturing phase: the model must not rotate while a point is dragged.
  canvas.addEventListener("pointerdown", (event) => {
    if (!actions.isActive() || event.button !== 0) return;
    press = { x: event.clientX, y: event.clientY, index: grabbed(event), isDrag: false };
    if (press.index === null) return;
    event.stopImmediatePropagation();
    canvas.setPointerCapture(event.pointerId);
  }, true);

  canvas.addEventListener("pointermove", (event) => {
    if (!press || press.index === null) return;
    const point = (press.isDrag || moved(event)) && model.pick(event.clientX, event.clientY);
    if (!point) return;
    if (!press.isDrag) actions.beginDrag(press.index);
    press.isDrag = true;
    actions.drag(press.index, point);
  });

  canvas.addEventListener("pointerup", (event) => {
    if (!press) return;
    const { index, isDrag } = press;
    const point = !isDrag && !moved(event) && model.pick(event.clientX, event.clientY);
    press = null;
    if (point) actions.click(point, index);
  });
  canvas.addEventListener("pointercancel", () => (press = null));
}
