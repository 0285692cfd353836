"""Random bodies with exact landmarks, for the demo and the tests: smooth, two-sided and all different.

A body is an elfish bust, and its landmark is the tip of an ear.
"""

from featurelib.datasets.synthetic.body import Body, make_body
from featurelib.datasets.synthetic.writing import LANDMARK, write_dataset

__all__ = ["LANDMARK", "Body", "make_body", "write_dataset"]
