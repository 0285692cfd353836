"""Checks before any compute: of a dataset, of its alignment, of the machine."""
