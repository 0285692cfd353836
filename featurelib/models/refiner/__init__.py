"""The close-up refiner: a first 3D estimate is looked at again from near, and corrected.

The mesh is drawn in a narrow orthographic frame around the estimate, a small network finds the landmark in each
picture, and the rays are fused; then once more in a narrower frame. Everything is done for the left instance: for the
right one the mesh is mirrored, so that one network serves both.

`looks` (frames and views), `pictures` (drawing), `samples` (labelled pictures), `plan` (which of them), `estimates`
(what looks start from) and `files` need no TensorFlow; `network`, `training`, `calibration`, `course` (both looks),
`refiner` (looking) and `model` (on disk) do. Import the module you need.
"""
