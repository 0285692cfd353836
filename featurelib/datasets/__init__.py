"""What users bring and what rendering makes of it: datasets, annotations, splits, landmark files, shards."""
