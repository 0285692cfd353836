// The images: a strip of all views and one large image, with the landmarks drawn over them.

import { SPREAD_68 } from "./geometry.js";
import { NO_SET } from "./landmarks.js";

const SVG = "http://www.w3.org/2000/svg";
const BOX = 1000; // size of the drawing over an image: xy times this

/** The panel; it calls `onView` with the number of a clicked view. */
export function createImagePanel(onView) {
  const [strip, image, dots, name] = ["strip", "view-image", "dots", "view-name"].map((id) => document.getElementById(id));
  const empty = document.querySelector("#image .empty");
  let set = NO_SET;
  let views = [];
  let shown = null;
  let focused = null;

  function button(view) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.view = view.view;
    button.ariaLabel = `View ${view.view}, azimuth ${view.azimuth_deg} degrees`;
    button.innerHTML = `<img alt="" hidden><svg viewBox="0 0 ${BOX} ${BOX}" aria-hidden="true"></svg><small></small>`;
    button.querySelector("small").textContent = angle(view);
    button.addEventListener("click", () => onView(view.view));
    return button;
  }

  const thumb = (view) => strip.querySelector(`[data-view="${view}"]`);

  /** Mark the dots of the chosen landmark. */
  function markFocused() {
    for (const dot of dots.children) dot.classList.toggle("focus", Number(dot.dataset.index ?? -1) === focused);
  }

  return {
    setLandmarks(newSet) {
      set = newSet;
    },
    focus(index) {
      focused = index;
      markFocused();
    },
    /** Show the views of a new object; `text` replaces missing images. */
    begin(newViews, text = "") {
      views = newViews;
      shown = null;
      strip.replaceChildren(...views.map(button));
      image.hidden = true;
      dots.replaceChildren();
      name.textContent = "Image";
      empty.textContent = text;
      empty.hidden = !text;
    },
    choose(view) {
      shown = view;
      for (const each of strip.children) each.ariaPressed = String(Number(each.dataset.view) === view);
      const of = views.find((each) => each.view === view);
      name.textContent = of ? `View ${view}, ${angle(of)}` : "Image";
      image.hidden = true;
      dots.replaceChildren();
    },
    /** Show a view's image in the strip and, if it is the chosen view, large. */
    async setImage(view, url) {
      const small = thumb(view)?.querySelector("img");
      if (small) Object.assign(small, { src: url, hidden: false });
      if (view !== shown) return;
      image.src = url;
      image.alt = `View ${view} of the object`;
      await image.decode();
      image.hidden = false;
    },
    /** Draw a view's landmarks: [{index, role, title, kind: predicted|true, near, xy, sigma}]. */
    setDots(view, marks) {
      const small = set.isPair ? drawn(marks, 44) : clouds(marks, 60);
      thumb(view)?.querySelector("svg").replaceChildren(...small);
      if (view !== shown) return;
      const spreads = marks.filter((mark) => mark.sigma).map(ellipse);
      dots.replaceChildren(...outlines(set, marks), ...spreads, ...drawn(marks, set.isPair ? 10 : 7));
      markFocused();
    },
  };
}

const angle = ({ azimuth_deg: azimuth, elevation_deg: elevation }) =>
  `${azimuth > 0 ? "+" : azimuth < 0 ? "−" : ""}${Math.abs(azimuth)}°${elevation ? ` ↑${elevation}°` : ""}`;

/**
 * The marks for `setDots`, from a view with its true positions and its detection (of /infer or of a view of /infer/3d).
 * `isAbsent(index)` tells the landmarks that do not exist on the object.
 */
export function marksOf(set, view, found, isAbsent = () => false) {
  const marks = [];
  for (const { index, role, title } of set.entries) {
    const [known, seen] = [view?.landmarks?.[index], found?.landmarks[index]];
    const near = known?.near ?? seen?.near ?? true;
    const suffix = role === "left" || role === "right" ? (near ? ", near" : ", far") : "";
    const mark = (kind, xy) => marks.push({ index, role, kind, near, xy, title: `${title}, ${kind}${suffix}` });
    if (known?.xy) mark("true", known.xy);
    if (!seen?.xy || isAbsent(index)) continue;
    mark("predicted", seen.xy);
    marks.at(-1).sigma = seen.sigma_xy_px?.map((value, i) => (value * seen.xy[i]) / seen.px[i]);
  }
  return marks;
}

function drawn(marks, radius) {
  const order = (mark) => Number(mark.near); // near marks last, on top
  return [...marks].sort((a, b) => order(a) - order(b)).map((mark) => dot(mark, radius));
}

/** All predicted landmarks of a role as one path: thumbnails of 80 landmarks must not slow the page. */
function clouds(marks, size) {
  const byRole = Map.groupBy(marks.filter(({ kind }) => kind === "predicted"), ({ role }) => role);
  return [...byRole].map(([role, of]) => {
    const d = of.map(({ xy: [x, y] }) => `M${(x * BOX).toFixed(1)} ${(y * BOX).toFixed(1)}h0`).join("");
    return make("path", { d, "stroke-width": size, class: `cloud ${role}` });
  });
}

/** The outlines through the predicted landmarks, through the true ones where nothing is predicted. */
function outlines(set, marks) {
  const kind = marks.some((mark) => mark.kind === "predicted") ? "predicted" : "true";
  const places = new Map(marks.filter((mark) => mark.kind === kind).map(({ index, xy }) => [index, xy]));
  const lines = set.lines.filter((line) => line.every((index) => places.has(index)));
  const d = lines.map(([from, to]) => `M${at(places.get(from))}L${at(places.get(to))}`).join("");
  return d ? [make("path", { d, class: "outline" })] : [];
}

const at = (xy) => xy.map((value) => (value * BOX).toFixed(1)).join(" ");

function dot({ index, kind, role, near, xy, title }, size) {
  const [x, y] = xy.map((value) => value * BOX);
  const radius = kind === "true" ? size * 1.8 : size; // a ring around the prediction, if that is right
  const r = radius * 1.25;
  const shape = near
    ? make("circle", { cx: x, cy: y, r: radius })
    : make("path", { d: `M${x} ${y - r} ${x + r} ${y} ${x} ${y + r} ${x - r} ${y}z` });
  shape.setAttribute("class", `dot ${kind} ${role} ${near ? "near" : "far"}`);
  Object.assign(shape.dataset, { kind, index, side: role });
  const tip = make("title", {});
  tip.textContent = title;
  shape.append(tip);
  return shape;
}

function ellipse({ role, xy, sigma }) {
  const [x, y] = xy.map((value) => value * BOX);
  const [rx, ry] = sigma.map((value) => value * SPREAD_68.plane * BOX);
  return make("ellipse", { cx: x, cy: y, rx, ry, class: `spread ${role}` });
}

function make(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
