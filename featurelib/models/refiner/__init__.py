"""The crop refiner: a first 3D estimate is looked at again from near, and corrected.

The mesh is drawn in a narrow orthographic frame around the estimate, a small network finds the landmark in each
image, and the rays are fused; then once more in a narrower frame. Everything is done for the left instance: for the
right one the mesh is mirrored, so that one network serves both.

`stages` (frames and views), `images` (drawing), `samples` (labelled images), `plan` (which of them), `estimates`
(what stages start from) and `files` need no TensorFlow; `network`, `training`, `calibration`, `course` (both stages),
`refiner` (looking) and `model` (on disk) do. Import the module you need.
"""
