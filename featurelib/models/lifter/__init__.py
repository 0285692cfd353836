"""The lifter: from the detector's positions in all views to all landmarks in millimetres.

`vectors` (the table of positions), `rays` (triangulation), `fusing` (fusion of all landmarks), `network` (the MLP) and
`model` (a trained lifter). `files` has the folder's files. Import the module you need: `network` and `model` import
TensorFlow.
"""
