// What is shown, in the page's address: a link leads to the same object and view.

/** What the address asks for. */
export function readAddress() {
  const query = new URLSearchParams(location.search);
  const view = query.get("view");
  return {
    object: query.get("object"),
    view: view !== null && /^\d+$/.test(view) ? Number(view) : null,
    projection: query.get("projection"),
    label: query.has("label"),
  };
}

/** Put what is shown into the address; another object is a step that the browser's back button takes back. */
export function writeAddress({ object, view, projection, label }) {
  const query = new URLSearchParams();
  if (object !== null) query.set("object", object);
  if (object !== null && view !== null) query.set("view", view);
  if (projection !== null) query.set("projection", projection);
  if (label) query.set("label", "");
  const address = `${location.pathname}?${query}`.replace(/\?$/, "");
  const isStep = readAddress().object !== null && readAddress().object !== object;
  if (address !== location.pathname + location.search) history[isStep ? "pushState" : "replaceState"](null, "", address);
}
