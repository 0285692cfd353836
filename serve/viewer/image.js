// The images: a strip of all views and one large image, with the landmarks drawn over them.

import { SIDES, SPREAD_68 } from "./geometry.js";

const SVG = "http://www.w3.org/2000/svg";
const BOX = 1000; // size of the drawing over an image: xy times this

/** The panel; it calls `onView` with the number of a clicked view. */
export function createImagePanel(onView) {
  const [strip, image, dots, name] = ["strip", "view-image", "dots", "view-name"].map((id) => document.getElementById(id));
  const empty = document.querySelector("#image .empty");
  let views = [];
  let shown = null;

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

  return {
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
    /** Draw a view's landmarks: [{side, kind: predicted|true, near, xy, sigma}]. */
    setDots(view, marks) {
      thumb(view)?.querySelector("svg").replaceChildren(...drawn(marks, 44, false));
      if (view === shown) dots.replaceChildren(...drawn(marks, 10, true));
    },
  };
}

const angle = ({ azimuth_deg: azimuth, elevation_deg: elevation }) =>
  `${azimuth > 0 ? "+" : azimuth < 0 ? "−" : ""}${Math.abs(azimuth)}°${elevation ? ` ↑${elevation}°` : ""}`;

/** The marks for `setDots`, from a view with its true positions and its detection (of /infer or of a view of /infer/3d). */
export function marksOf(view, found) {
  const sigma = found?.sigma_xy_px?.map((value, i) => (value * found.xy[i]) / found.px[i]);
  const near = view?.near_side ?? found?.near_side ?? found?.side;
  const mark = (kind, side, xy) => ({ kind, side, xy, near: side === near });
  const marks = view?.left_xy ? SIDES.map((side) => mark("true", side, view[`${side}_xy`])) : [];
  if (found?.pair) marks.push(...SIDES.map((side) => ({ ...mark("predicted", side, found.pair[side].xy), sigma })));
  else if (found) marks.push({ ...mark("predicted", near ?? "left", found.xy), sigma });
  return marks;
}

function drawn(marks, radius, withSpread) {
  const order = (mark) => Number(mark.near); // near marks last, on top
  const parts = [...marks].sort((a, b) => order(a) - order(b)).map((mark) => dot(mark, radius));
  const spreads = withSpread ? marks.filter((mark) => mark.sigma).map(ellipse) : [];
  return [...spreads, ...parts];
}

function dot({ kind, side, near, xy }, size) {
  const [x, y] = xy.map((value) => value * BOX);
  const radius = kind === "true" ? size * 1.8 : size; // a ring around the prediction, if that is right
  const r = radius * 1.25;
  const shape = near
    ? make("circle", { cx: x, cy: y, r: radius })
    : make("path", { d: `M${x} ${y - r} ${x + r} ${y} ${x} ${y + r} ${x - r} ${y}z` });
  shape.setAttribute("class", `dot ${kind} ${side} ${near ? "near" : "far"}`);
  Object.assign(shape.dataset, { kind, side });
  const title = make("title", {});
  title.textContent = `${side}, ${kind}, ${near ? "near" : "far"}`;
  shape.append(title);
  return shape;
}

function ellipse({ side, xy, sigma }) {
  const [x, y] = xy.map((value) => value * BOX);
  const [rx, ry] = sigma.map((value) => value * SPREAD_68.plane * BOX);
  return make("ellipse", { cx: x, cy: y, rx, ry, class: `spread ${side}` });
}

function make(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
