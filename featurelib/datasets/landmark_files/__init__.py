"""Landmarks in the files of other programs: named points in, a pair an object out, and back.

`points` (what all files come to), one module a format (`slicer`, `meshlab`, `plain`, `tables`), `formats` (which file
is what), `importing` (files to the rows of landmarks.csv), `placing` (do they lie on the meshes?).
"""
