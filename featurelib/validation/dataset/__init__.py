"""Checks of a dataset before any training: each object is measured once, then rules are applied to the measurements.

`measure` (one mesh to one measurement, with a reference shape built from a sample), `survey` (all measurements and
their statistics), `rules` (survey to findings), `summary` (findings as text and JSON) and `sheet` (the contact sheet).
"""
