"""The detector: one rendered picture in, the near landmark's image position out.

`samples` (pictures as arrays; no TensorFlow), `network` (the Keras model), `training` (the two phases) and
`model` (a trained detector on disk). Import the module you need: only `samples` is light.
"""
