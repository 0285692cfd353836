"""The crop refiner: a first 3D estimate is looked at again from near, and corrected.

The mesh is drawn in a narrow orthographic frame around the estimate, a small network finds the landmark in each
image, and the rays are fused; then once more in a narrower frame. Everything is done for the left instance: for the
right one the mesh is mirrored, so that one network serves both.

`stages` (frames and views), `crops` (drawing), `samples` (labelled images), `plan` (which of them), `estimates`
(what stages start from), `refinement` (the result and its quality scores) and `files` need no TensorFlow; `network`,
`training`, `calibration`, `cascade` (both stages), `refiner` (applying them) and `model` (on disk) do.
Import the module you need.
"""
