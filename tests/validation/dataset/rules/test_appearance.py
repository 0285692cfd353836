from dataclasses import replace

import numpy as np
import pytest

from featurelib.datasets.synthetic import EAR_TIPS, make_body
from featurelib.meshes import Mesh
from featurelib.validation.dataset.measure import MeasureJob, measure_mesh
from featurelib.validation.dataset.rules.appearance import FLAT_SHARE, flat_images, repaired_meshes

BUST = make_body(0, resolution_mm=9)
JOB = MeasureJob("a", "", np.eye(4), EAR_TIPS)


def test_each_note_of_a_reader_is_a_finding(clean_survey):
    """The finding has the note's words; clean files have none."""
    notes = ("left out 1 of 9 faces with a NaN corner", "colours are all 0 0 0: drawn without them")
    first, *others = clean_survey.measured
    survey = replace(clean_survey, measured=[replace(first, notes=notes), *others])

    found = list(repaired_meshes(survey))

    assert [(f.rule, f.severity, f.object_id, f.message) for f in found] == [
        ("repaired-mesh", "warning", first.object_id, note) for note in notes
    ]
    assert not list(repaired_meshes(clean_survey))


def test_flat_images_are_found(clean_survey):
    """The share of pixels is in the finding; grey busts have shades of all kinds."""
    first, *others = clean_survey.measured
    survey = replace(clean_survey, measured=[replace(first, flat_share=0.934), *others])

    (finding,) = flat_images(survey)

    assert (finding.rule, finding.severity, finding.object_id) == ("flat-image", "warning", first.object_id)
    assert finding.message == "93% of its pixels have one grey value; expected at most 70%"
    assert not list(flat_images(clean_survey))


@pytest.mark.parametrize("shape", ["grey", "skin", "white", "box"])
def test_images_with_information_are_no_finding(shape):
    """Grey, coloured and white busts, and even a box, show shades."""
    vertices, faces = BUST.vertices_mm, BUST.faces
    colours = {"grey": None, "white": np.full((len(vertices), 3), 255)}
    if shape == "box":
        vertices = np.array([[x, y, z] for x in (0, 9) for y in (0, 9) for z in (0, 9)])
        faces = np.array([[0, 1, 2], [1, 3, 2], [4, 6, 5], [5, 6, 7], [0, 2, 4], [2, 6, 4], [1, 5, 3], [3, 5, 7]])
    skin = np.clip(np.array([190, 150, 130]) + np.random.default_rng(0).normal(0, 10, vertices.shape), 0, 255)
    mesh = Mesh.smooth(vertices, faces, colours=colours.get(shape, skin if shape == "skin" else None))

    assert measure_mesh(mesh, JOB).flat_share < FLAT_SHARE - 0.1


@pytest.mark.parametrize("darkest", ["black", "noise", "few_marks", "five"])
def test_images_without_information_are_found(darkest):
    """Black colours, those of noise or with a few marks, and a grey of 5 that varies by 20 %."""
    vertices, faces = BUST.vertices_mm, BUST.faces
    random = np.random.default_rng(0)
    colours = {
        "black": np.zeros_like(vertices),
        "noise": random.integers(0, 4, vertices.shape),
        "few_marks": np.where(random.random((len(vertices), 1)) < 0.02, 255, 0) * np.ones(3),
        "five": 5 * (1 + 0.2 * np.sin(vertices[:, :1] / 20)) * np.ones(3),
    }[darkest]

    assert measure_mesh(Mesh.smooth(vertices, faces, colours=colours), JOB).flat_share > FLAT_SHARE + 0.1
