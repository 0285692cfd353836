"""The detector: from one rendered image to the landmarks' image positions.

`samples` (images and labels as arrays), `recipe` (how each head is trained), `checkpoint` and `files` need no
TensorFlow. `heads`, `network` (the Keras model), `training` (the two phases), `metrics_log` (TensorBoard) and `model`
(a trained detector) import it. Import the module you need.
"""
