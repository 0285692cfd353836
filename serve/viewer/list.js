// The list of objects: search, sort, choose by mouse or keyboard.

import { getJson } from "./api.js";
import { NO_SET } from "./landmarks.js";

const PAGE = 1000;
const MAX_SHOWN = 300; // more would make each key press slow; the search finds the rest

/** Return all objects of the run and, if it can be labelled, of the dataset: {id, inRun, labelled, count}. */
export async function readObjects(about) {
  const ids = about.projections.length ? await allPages("/objects") : [];
  const labels = about.labelling ? await allPages("/labels") : [];
  const objects = new Map(ids.map((id) => [id, { id, inRun: true, labelled: null, count: 0 }]));
  for (const { object_id: id, labelled, num_labelled: count } of labels) {
    objects.set(id, { id, inRun: objects.has(id), labelled, count });
  }
  return [...objects.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

async function allPages(path) {
  const found = [];
  for (;;) {
    const page = await getJson(`${path}?offset=${found.length}&limit=${PAGE}`);
    found.push(...page.objects);
    if (found.length >= page.total || page.objects.length === 0) return found;
  }
}

/** The list; it calls `onChoose` with an object's id. */
export function createList(onChoose) {
  const [list, search, sort, count] = ["list", "search", "sort", "count"].map((id) => document.getElementById(id));
  let set = NO_SET;
  let objects = [];
  let scores = {};
  let chosen = null;

  const matches = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = objects.filter(({ id }) => words.every((word) => id.toLowerCase().includes(word)));
    if (sort.value === "unlabelled") return found.sort((a, b) => Number(a.labelled) - Number(b.labelled) || order(a, b));
    if (sort.value === "name") return found;
    const score = ({ id }) => scores[id]?.[sort.value] ?? -1;
    return found.sort((a, b) => score(b) - score(a) || order(a, b));
  };

  function draw() {
    const found = matches();
    const at = found.findIndex(({ id }) => id === chosen);
    const from = Math.max(0, Math.min(at - MAX_SHOWN / 2, found.length - MAX_SHOWN));
    list.replaceChildren(...found.slice(from, from + MAX_SHOWN).map(item));
    const more = found.length > MAX_SHOWN ? `, ${MAX_SHOWN} shown` : "";
    count.textContent = `${found.length} of ${objects.length} objects${more}`;
    mark();
  }

  function item(object) {
    const row = document.createElement("li");
    row.id = `object-${object.id}`;
    row.role = "option";
    row.dataset.object = object.id;
    const name = document.createElement("span");
    name.textContent = object.id;
    row.append(name, note(object));
    row.addEventListener("click", () => onChoose(object.id));
    return row;
  }

  function note(object) {
    const text = document.createElement("small");
    const key = sort.value === "disagreement_mm" ? "disagreement_mm" : "error_mm";
    const score = scores[object.id]?.[key];
    if (sort.value === "unlabelled" || (object.labelled === false && score === undefined)) {
      text.textContent = object.labelled ? "labelled" : partly(object);
    } else if (score != null) {
      text.textContent = `${score.toFixed(2)} mm`;
      const [of, apart] = set.isPair ? ["larger", "of both sides"] : ["largest", "of the landmarks"];
      text.title = key === "error_mm" ? `the ${of} error ${apart}, in the report` : "the distance from the registered mean shape";
    }
    return text;
  }

  const partly = ({ count }) => (count && !set.isPair ? `${count} of ${set.entries.length}` : "no label");

  function mark() {
    for (const row of list.children) row.ariaSelected = String(row.dataset.object === chosen);
    const row = list.querySelector('[aria-selected="true"]');
    if (row) list.setAttribute("aria-activedescendant", row.id);
    else list.removeAttribute("aria-activedescendant");
    row?.scrollIntoView({ block: "nearest" });
  }

  search.addEventListener("input", draw);
  sort.addEventListener("change", draw);

  return {
    setLandmarks(newSet) {
      set = newSet;
    },
    setObjects(all) {
      objects = all;
      sort.querySelector('[value="unlabelled"]').hidden = all.every(({ labelled }) => labelled === null);
      draw();
    },
    setScores(all) {
      scores = all;
      draw();
    },
    choose(id) {
      chosen = id;
      if (id === null || document.getElementById(`object-${id}`)) mark();
      else draw();
    },
    /** Note how many landmarks of an object have a label now. */
    markLabelled(id, count) {
      Object.assign(objects.find((object) => object.id === id), { count, labelled: count === set.entries.length });
      draw();
    },
    find: (id) => objects.find((object) => object.id === id),
    /** The id `steps` further in the visible list; the first one if none is chosen. */
    neighbour(steps) {
      const found = matches();
      const at = found.findIndex(({ id }) => id === chosen);
      const next = at < 0 ? 0 : Math.min(Math.max(at + steps, 0), found.length - 1);
      return found[next]?.id ?? null;
    },
    /** The next object without a label after the chosen one; the search continues from the first object. */
    nextUnlabelled() {
      const at = objects.findIndex(({ id }) => id === chosen);
      const around = [...objects.slice(at + 1), ...objects.slice(0, at + 1)];
      return around.find(({ labelled }) => labelled === false)?.id ?? null;
    },
    focusSearch: () => search.focus(),
  };
}

const order = (a, b) => (a.id < b.id ? -1 : 1);
