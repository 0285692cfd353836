"""RUN/folds/<i>/vectors -> RUN/vectors: each object's positions in all views by the detector that has not seen it."""

import json

from featurelib.datasets.folds import Folds, resplit
from featurelib.datasets.schemas import vectors_schema
from featurelib.datasets.shards import open_renders
from featurelib.models.lifter.vectors import read_config, vectors_uri, write_vectors
from featurelib.runtime import parquet
from featurelib.runtime.console import print_result


def gather_vectors(folds: Folds, projection: str) -> None:
    """Write the vectors that the final lifter and refiner are trained on, if those of the folds are new."""
    uri, uris = vectors_uri(folds.run, projection), [vectors_uri(run, projection) for run in folds.runs]
    manifest = open_renders(folds.run, projection)
    configs = [read_config(each) for each in uris]
    made_from = {
        "projection": projection,
        "renders": manifest.with_splits(folds.final_splits).content_hash,
        "folds": [json.dumps(config, sort_keys=True) for config in configs],
        **manifest.landmarks.to_record(),
    }
    if read_config(uri) == made_from:
        print_result(f"{uri}: complete; nothing to do", {"vectors": uri, "done_before": True})
        return
    splits, fold_of = folds.final_splits, folds.fold_of
    of_folds = [
        {object_id: splits[object_id] for object_id in fold_of if fold_of[object_id] == i} for i in range(len(uris))
    ]
    tables = [resplit(parquet.read_table(each), own) for each, own in zip(uris, of_folds, strict=True)]
    schema = vectors_schema(manifest.landmarks, len(manifest.spec.rig))
    write_vectors(uri, [table.cast(schema) for table in tables], schema, made_from)
    print_result(f"{uri}: {len(fold_of)} objects, by the detectors of {len(uris)} folds", {"vectors": uri})
