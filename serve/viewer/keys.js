// Keyboard shortcuts, active outside text fields and dialogs.

const DIGITS_MS = 900; // digits that follow each other this fast are one number

/**
 * Call the actions: next, previous, changeView(steps), search, press(id of a button), filter, unfocus; for labels
 * number(of a landmark), which returns whether there is one, skip(steps), finish(withFlagged), labels(id of a button),
 * unlabelled.
 */
export function listenToKeys(actions) {
  const digit = numberOf(actions.number);
  const keys = {
    j: actions.next,
    k: actions.previous,
    ArrowDown: actions.next,
    ArrowUp: actions.previous,
    ArrowRight: () => actions.changeView(1),
    ArrowLeft: () => actions.changeView(-1),
    "/": actions.search,
    "?": () => actions.press("keys"),
    x: () => actions.press("xray"),
    w: () => actions.press("wire"),
    r: () => actions.press("rays"),
    u: () => actions.press("spread"),
    f: () => actions.press("fit"),
    l: () => actions.press("label-mode"),
    ".": () => actions.skip(1),
    ",": () => actions.skip(-1),
    p: ({ shiftKey, repeat }) => !repeat && actions.finish(shiftKey), // a key that is held accepts one object
    o: () => actions.labels("label-one"),
    a: () => actions.labels("label-absent"),
    z: () => actions.labels("label-undo"),
    g: () => actions.labels("label-repeat"),
    s: () => actions.labels("label-save"),
    t: actions.filter,
    Escape: actions.unfocus,
    n: actions.unlabelled,
    ...Object.fromEntries([..."0123456789"].map((key) => [key, () => digit(Number(key))])),
  };
  addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input:not([type=radio]), select, textarea, dialog");
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (isTyping || !action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action(event);
  });
}

/** A function of digits that calls `onNumber` with each number: 1, then 12, or 2 if there is no 12. */
function numberOf(onNumber) {
  let typed = { number: 0, at: 0 };
  return (digit) => {
    const now = performance.now();
    const longer = typed.number * 10 + digit;
    const isLonger = now - typed.at < DIGITS_MS && longer > digit && onNumber(longer);
    typed = { number: isLonger ? longer : digit, at: now };
    if (!isLonger) onNumber(digit);
  };
}
