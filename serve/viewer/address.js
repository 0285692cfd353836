// The page's state in its address: a link opens the same object and view.

/** The state in the address. */
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

/** Write the state into the address; the browser's back button returns to the previous object. */
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
