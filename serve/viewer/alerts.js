// What went wrong, as a line that can be read and put away, with a way to try again.

/** Show a message; `retry` is called by its button, if there is one. */
export function alertUser(message, retry) {
  const line = document.createElement("p");
  line.append(Object.assign(document.createElement("span"), { textContent: message }));
  if (retry) line.append(button("Try again", () => (line.remove(), retry())));
  line.append(button("Close", () => line.remove()));
  document.getElementById("alerts").replaceChildren(line);
}

/** Put the message away. */
export const clearAlerts = () => document.getElementById("alerts").replaceChildren();

/** A panel's own line: busy, done or failed, and the time it took. */
export function setStatus(id, state, text) {
  const status = document.getElementById(id);
  status.dataset.state = state;
  status.textContent = text;
}

function button(text, onClick) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  made.addEventListener("click", onClick);
  return made;
}
