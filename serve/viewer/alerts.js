// Errors as a line that the user can close, with a button to try again.

/** Show a message; a button calls `retry`, if given. */
export function alertUser(message, retry) {
  const line = document.createElement("p");
  line.append(Object.assign(document.createElement("span"), { textContent: message }));
  if (retry) line.append(button("Try again", () => (line.remove(), retry())));
  line.append(button("Close", () => line.remove()));
  document.getElementById("alerts").replaceChildren(line);
}

/** Remove the message. */
export const clearAlerts = () => document.getElementById("alerts").replaceChildren();

/** Set the status line of a panel: busy, done or failed, and a text. */
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
