"""The second stage: the detector's positions in all views in, both landmarks in millimetres out.

`vectors` (the table between the stages), `rays` (triangulation), `network` (the MLP) and `model` (a trained
lifter on disk). Import the module you need: `network` and `model` bring TensorFlow with them.
"""
