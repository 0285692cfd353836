// Keyboard shortcuts, active outside text fields and dialogs.

/** Call the actions: next, previous, changeView(steps), search, press(id of a button), filter, unfocus; for labels side(name), skip(steps), labels(id of a button), save, unlabelled. */
export function listenToKeys(actions) {
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
    a: () => actions.labels("label-absent"),
    z: () => actions.labels("label-undo"),
    t: actions.filter,
    Escape: actions.unfocus,
    1: () => actions.side("left"),
    2: () => actions.side("right"),
    s: actions.save,
    n: actions.unlabelled,
  };
  addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input:not([type=radio]), select, textarea, dialog");
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (isTyping || !action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });
}
