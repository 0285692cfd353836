"""The detector: one rendered image in, the near landmark's image position out.

`samples` (images as arrays; no TensorFlow), `network` (the Keras model), `training` (the two phases) and
`model` (a trained detector on disk). Import the module you need: only `samples` is light.
"""
