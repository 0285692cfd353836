"""Landmarks in the files of other programs: from named points to one pair per object, and back.

`landmarks` (named points, the common form of all files), one module per format (`slicer`, `meshlab`, `plain`,
`tables`, `idav`, `tps`, `nts`, `morphologika`), `formats` (the format of a file, by its ending), `objects` (the object
of a file, by its name), `importing` (files to rows of landmarks.csv) and `placement` (whether landmarks are on the
meshes).
"""
