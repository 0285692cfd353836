// The label of one object while a person changes it: points with their sources, proposals, and what can be undone.

/** The label of a landmark that does not exist on the object. */
export const ABSENT = "absent";

/** The positions of points by index; null for absent landmarks. */
export const positions = (points) => points.map((point) => (point === ABSENT ? null : point));

/**
 * A draft of `saved` labels, {point, source} by index of the set, null without one. A repeat begins without labels and
 * has no proposals, so that its marks depend on nothing that was shown.
 */
export function createDraft(set, saved, isRepeat = false) {
  const base = isRepeat ? saved.map(() => null) : saved;
  const isPlaced = (index) => Array.isArray(saved[index]?.point);
  let labels = [...base];
  let proposals = null;
  const undone = []; // earlier labels, the latest last

  const proposal = (index) => (labels[index] ? null : (proposals?.[index] ?? null));
  const changed = () => set.entries.filter(({ index }) => String(labels[index]?.point) !== String(base[index]?.point));
  const sourceOf = (index) => (base[index] || proposals?.[index] ? "corrected" : "marked");

  function replace(next, current) {
    undone.push({ labels, current });
    labels = next;
  }

  return {
    isRepeat,
    saved,
    base: () => base.map((label) => label?.point ?? null),
    label: (index) => labels[index],
    /** The labels by index; another array after each change. */
    labels: () => labels,
    points: () => labels.map((label) => label?.point ?? null),
    count: () => labels.filter(Boolean).length,
    changed,
    /** The saved labels by index that the changes replace. */
    before: () => new Map(changed().map(({ index }) => [index, saved[index]])),
    isUnsaved: () => changed().length > 0,
    /** A pair is saved as a whole: its table may have one row per object. */
    maySave: () => changed().length > 0 && (isRepeat || !set.isPair || labels.every(Boolean) || !labels.some(Boolean)),
    /** Whether a landmark has neither a label nor a proposal; in a repeat, whether a placed one is not marked again. */
    isMissing: ({ index }) => !labels[index] && !proposal(index) && (!isRepeat || isPlaced(index)),
    canRepeat: () => set.entries.some(({ index }) => isPlaced(index)),
    get hasProposals() {
      return proposals !== null || isRepeat;
    },
    /** Propose points, {point, isFlagged} by index or null; landmarks with a saved label have none. */
    propose(points) {
      proposals = points.map((point, i) => (base[i] ? null : point));
    },
    proposal,
    /** The entries with a proposal that is not accepted. */
    open: () => set.entries.filter(({ index }) => proposal(index)),
    /** Change one landmark; `current` is the one that an undo chooses again. */
    put: (index, point, current = index, source = sourceOf(index)) =>
      replace(labels.map((old, i) => (i === index ? point && { point, source } : old)), current),
    /** Accept the proposals of some entries. */
    accept(entries, current) {
      const indices = new Set(entries.filter(({ index }) => proposal(index)).map(({ index }) => index));
      replace(labels.map((old, i) => (indices.has(i) ? { point: proposals[i].point, source: "proposal" } : old)), current);
    },
    replace,
    /** Move a landmark as a part of the last change. */
    move(index, point) {
      labels = labels.map((old, i) => (i === index ? { ...old, point } : old));
    },
    canUndo: () => undone.length > 0,
    /** Undo the last change; return the index of the landmark that was current. */
    undo() {
      const last = undone.pop();
      labels = last.labels;
      return last.current;
    },
  };
}
