"""Checks of this machine, one per function: a line with ok, slow or broken, and the fix.

`check` (the result), `system` (Python, memory, disk), `renderers`, `networks` (TensorFlow), `files` (datasets and runs,
local and on S3). The command itself checks Ray.
"""
