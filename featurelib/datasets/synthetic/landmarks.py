"""The landmarks of the synthetic bodies."""

from featurelib.geometry import LandmarkSet

EAR_TIPS = LandmarkSet.single_pair("ear_tip")
"""The pair that is a body's default set."""

LANDMARKS = LandmarkSet(
    (*EAR_TIPS.pairs, ("eye_corner_left", "eye_corner_right")),
    midline=("nose_tip", "chin"),
    outlines=(("eye_corner_left", "nose_tip", "eye_corner_right"), ("nose_tip", "chin")),
    definitions={
        "ear_tip_left": "the point of the left ear that is farthest from its root",
        "ear_tip_right": "the point of the right ear that is farthest from its root",
        "eye_corner_left": "the outer corner of the left eye",
        "eye_corner_right": "the outer corner of the right eye",
        "nose_tip": "the foremost point of the nose",
        "chin": "the foremost point of the chin",
    },
)
"""All landmarks of a body."""
