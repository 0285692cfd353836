"""What this machine can do: one check a function, each one line that says ok, slow or broken, and the fix.

`check` (a line), `machine` (Python, memory, disk), `drawing` (renderers), `networks` (TensorFlow), `files` (datasets
and runs, local and S3). The cluster is asked by the command itself.
"""
