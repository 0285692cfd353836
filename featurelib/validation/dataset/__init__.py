"""Checks of a dataset before any compute: measure every object once, then apply rules to the rows.

`measure` (one mesh to one row, against a `reference` made from a sample), `survey` (all rows together), `rules` (rows
to findings) and `sheet` (a page to look at).
"""
