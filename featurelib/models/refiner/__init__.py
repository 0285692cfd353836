"""The refiner: corrects a first 3D estimate on crops, coarse to fine.

A stage renders the mesh in narrow orthographic crops around the estimates. A small network finds the landmarks in each
crop, and their rays are fused. The next stage repeats this in narrower crops. A network has a map for each landmark of
the left and the middle; right ones are found in the mirrored mesh.

Training, in order of use: `estimates` (errors of the first estimates), `sides` (channels of the mesh and its mirror
image), `repair` (the mean shape, by which landmarks check each other), `stages` (crop widths), `crops` (rendering),
`directions` (views that show each landmark), `anatomy` (these together), `samples` (labelled crops), `plan` (which
samples), `network`, `training` (one stage), `shots` (crops that landmarks share), `calibration` (shots and weights of a
trained stage), `cascade` (both stages) and `presence` (which landmarks exist).
Inference: `refiner` (applies the stages), `readings` (rays from crops), `fusion` (rays to a point),
`refinement` (the result and its quality scores).
On disk: `model` and `files`.
`network`, `training`, `cascade` and `model` import TensorFlow; import the module you need.
"""
