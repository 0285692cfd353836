"""Rules on all objects together: no duplicates, no objects of another kind, and enough objects in each split."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import pyarrow as pa

from featurelib.datasets.leakage import CONTENTS, find_leaks
from featurelib.datasets.splits import SPLITS, few_objects
from featurelib.meshes.shape import same_shapes
from featurelib.validation.dataset.finding import Finding
from featurelib.validation.dataset.survey import Survey


def unlike_the_others(survey: Survey) -> Iterator[Finding]:
    """Objects that the mean shape does not fit in any axes: another kind of object, or a part of one."""
    for row in survey.measured:
        if row.object_id in survey.unlike - survey.with_strays:
            by = (
                f"differs from it by {100 * row.fit.misfit:.1f} % of its size"
                if row.fit
                else "cannot be registered to it"
            )
            message = f"the mean shape {by}; the others' median is {100 * survey.typical_misfit.median:.1f} %"
            yield Finding(
                "unlike",
                "warning",
                row.object_id,
                message,
                "check the mesh: is it another kind of object, or only a part of one?",
            )


def same_content(survey: Survey) -> Iterator[Finding]:
    """Mesh files with the same content: a leak if they are in different splits."""
    leaks = {leak.value for leak in find_leaks(_contents(survey)) if leak.kind == "mesh"}
    for digest, (first, *others) in _by_content(survey).items():
        for object_id in others:
            message = f"its mesh has the same content as that of {first}"
            if digest in leaks:
                message += f", in {survey.in_table[object_id]['split']} and in {survey.in_table[first]['split']}"
                fix = "give both one `group` in landmarks.csv, or keep one of them"
            else:
                fix = "keep one of them"
            yield Finding("duplicate", "error" if digest in leaks else "warning", object_id, message, fix)


def same_shape(survey: Survey) -> Iterator[Finding]:
    """Different files with the same shape, whatever their pose, size, mirror image and triangles."""
    rows = survey.measured
    for i, j in same_shapes([row.invariants for row in rows]):
        if rows[i].sha256 == rows[j].sha256:
            continue
        first, second = rows[i].object_id, rows[j].object_id
        splits = [survey.in_table[object_id]["split"] for object_id in (first, second)]
        is_leak = survey.is_labelled and splits[0] != splits[1]
        message = f"its mesh has the same shape as that of {first}{f', in {splits[1]} and in {splits[0]}' * is_leak}"
        fix = "keep one of them if it is the same scan, or give both one `group` in landmarks.csv"
        yield Finding("near-duplicate", "warning", second, message, fix)


def small_splits(survey: Survey) -> Iterator[Finding]:
    """The number of objects by split, and the splits with none or too few."""
    if not survey.is_labelled:
        return
    rows = [survey.in_table[row.object_id] for row in survey.measured]
    counts = Counter(row["split"] for row in rows)
    for split in SPLITS:
        if not counts[split]:
            message = f"0 objects in {split} (of {len(rows)})"
            yield Finding("split", "error", None, message, "label more objects, or set `split` in objects.csv")
    if few := few_objects(counts):
        yield Finding("split", "warning", None, *few)
    shares = ", ".join(f"{split} {counts[split]}" for split in SPLITS)
    message = f"{len(rows)} objects in {len({row['group'] for row in rows})} groups: {shares}"
    yield Finding("split", "note", None, message, "a run that was rendered before keeps the splits of its objects")


def _by_content(survey: Survey) -> dict[str, list[str]]:
    """Return the objects by mesh content, for contents that several objects share."""
    owners = defaultdict(list)
    for row in survey.measured:
        owners[row.sha256].append(row.object_id)
    return {digest: ids for digest, ids in owners.items() if len(ids) > 1}


def _contents(survey: Survey) -> pa.Table:
    """Return the labelled objects as the shards of a rendering would list them."""
    rows = survey.measured if survey.is_labelled else ()
    table_rows = [survey.in_table[row.object_id] for row in rows]
    columns = {
        "object_id": [row.object_id for row in rows],
        "group": [row["group"] for row in table_rows],
        "split": [row["split"] for row in table_rows],
        "mesh_sha256": [row.sha256 for row in rows],
        "views": [0] * len(rows),
    }
    return pa.table(columns, schema=CONTENTS)
