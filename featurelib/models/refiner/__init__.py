"""The refiner: corrects a first 3D estimate on crops, coarse to fine.

A stage renders the mesh in narrow orthographic crops around the estimate. A small network finds the landmark in each
crop, and the rays are fused. The next stage repeats this in narrower crops. All stages work on the left instance; for
the right instance the mesh is mirrored, so one network serves both.

Training, in order of use: `estimates` (errors of the first estimates), `stages` (crop widths and views), `crops`
(rendering), `samples` (labelled crops), `plan` (which samples), `network`, `training` (one stage), `calibration` (views
and weights of a trained stage) and `cascade` (both stages).
Inference: `refiner` (applies the stages), `fusion` (rays to a point), `refinement` (the result and its quality scores).
On disk: `model` and `files`.
`network`, `training`, `calibration`, `cascade`, `refiner` and `model` import TensorFlow; import the module you need.
"""
