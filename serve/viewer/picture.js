// The pictures: a strip of all views and one large, with the landmarks drawn over them.

import { SIDES } from "./geometry.js";

const SVG = "http://www.w3.org/2000/svg";
const BOX = 1000; // of the drawing over a picture: xy times this
const SPREAD_68 = 1.51; // 68 % of a plane's Gaussian lies within this many standard deviations

/** The panel; `onView` is called with the number of a view that was clicked. */
export function createPicture(onView) {
  const [strip, image, dots, name] = ["strip", "picture-image", "dots", "view-name"].map((id) => document.getElementById(id));
  const empty = document.querySelector("#picture .empty");
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
    /** Show the views of a new object; `says` stands where there are no pictures. */
    begin(newViews, says = "") {
      views = newViews;
      shown = null;
      strip.replaceChildren(...views.map(button));
      image.hidden = true;
      dots.replaceChildren();
      name.textContent = "Picture";
      empty.textContent = says;
      empty.hidden = !says;
    },
    choose(view) {
      shown = view;
      for (const each of strip.children) each.ariaPressed = String(Number(each.dataset.view) === view);
      const of = views.find((each) => each.view === view);
      name.textContent = of ? `View ${view}, ${angle(of)}` : "Picture";
      image.hidden = true;
      dots.replaceChildren();
    },
    /** Take a view's picture: into the strip, and large if it is the view that is looked at. */
    async setPicture(view, url) {
      const small = thumb(view)?.querySelector("img");
      if (small) Object.assign(small, { src: url, hidden: false });
      if (view !== shown) return;
      image.src = url;
      image.alt = `View ${view} of the object`;
      await image.decode();
      image.hidden = false;
    },
    /** Draw a view's landmarks: [{side, kind: predicted|true, near, xy, sigma, hidden}]. */
    setDots(view, marks) {
      thumb(view)?.querySelector("svg").replaceChildren(...drawn(marks, 44, false));
      if (view === shown) dots.replaceChildren(...drawn(marks, 10, true));
    },
  };
}

const angle = ({ azimuth_deg: azimuth, elevation_deg: elevation }) =>
  `${azimuth > 0 ? "+" : azimuth < 0 ? "−" : ""}${Math.abs(azimuth)}°${elevation ? ` ↑${elevation}°` : ""}`;

/** What `setDots` takes, of a view's truth and of what the detector said of it (an answer of /infer, or a view of /infer/3d). */
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
  const far = (mark) => Number(mark.near); // the near ones last, on top
  const parts = [...marks].sort((a, b) => far(a) - far(b)).map((mark) => dot(mark, radius));
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
  const [rx, ry] = sigma.map((value) => value * SPREAD_68 * BOX);
  return make("ellipse", { cx: x, cy: y, rx, ry, class: `spread ${side}` });
}

function make(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
