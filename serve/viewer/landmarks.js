// The landmark set of the server. Every list of landmarks is in the order of its entries.

/** The set of nothing, before the server has answered. */
export const NO_SET = { isPair: false, entries: [], lines: [] };

/**
 * The set of `landmarks` in a response of /about: its entries {index, name, title, role, definition}, and the lines of
 * its outlines, pairs of indices. The role, `left`, `right`, `midline` or `unpaired`, is the class of the colour. The
 * title is the name, or the side if the set is one pair.
 */
export function createSet({ names, pairs, midline, outlines, definitions }) {
  const isPair = pairs.length === 1 && names.length === 2;
  const roles = new Map(pairs.flatMap(([left, right]) => [[left, "left"], [right, "right"]]));
  for (const name of midline) roles.set(name, "midline");
  const entries = names.map((name, index) => {
    const role = roles.get(name) ?? "unpaired";
    return { index, name, role, title: isPair ? role : name, definition: definitions[name] ?? "" };
  });
  const places = new Map(names.map((name, index) => [name, index]));
  const lines = outlines.flatMap((outline) =>
    outline.slice(1).map((name, i) => [places.get(outline[i]), places.get(name)]),
  );
  return { isPair, entries, lines };
}

/** The words of the list for a landmark of a response of /infer/3d. */
export function stateOf({ xyz, present, accepted }) {
  if (!present) return "absent";
  if (!xyz) return "no estimate";
  return accepted === null ? "" : accepted ? "accepted" : "flagged";
}
