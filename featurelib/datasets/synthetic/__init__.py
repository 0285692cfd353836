"""Random bodies with exact landmarks, for the demo and the tests: smooth, two-sided and all different.

A body is an elfish bust, with landmarks at its ears, its eyes, its nose and its chin.
"""

from featurelib.datasets.synthetic.body import Body, make_body
from featurelib.datasets.synthetic.landmarks import EAR_TIPS, LANDMARKS
from featurelib.datasets.synthetic.writing import write_dataset

__all__ = ["EAR_TIPS", "LANDMARKS", "Body", "make_body", "write_dataset"]
