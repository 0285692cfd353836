import json

import numpy as np
import pytest

from featurelib.evaluation import bootstrap, detector_report, lifter_report, method_errors_mm, summary, table
from featurelib.evaluation.summaries import intervals, worse_by
from featurelib.geometry import DEFAULT_RIG, LandmarkSet, Rig
from featurelib.models.lifter.vectors import Vectors

NAN = float("nan")


PAIR = LandmarkSet.single_pair("ear")
MIXED = LandmarkSet((("eye_left", "eye_right"),), midline=("nose",), unpaired=("scar",))
STATISTICS = {"mean", "median", "p95"}


def vectors_with(errors: np.ndarray, landmarks: LandmarkSet = PAIR) -> Vectors:
    """n objects whose detected positions have `errors` (n, v) in all slots, in shares of the width."""
    (count, views), k = errors.shape, len(landmarks.names)
    xy_true = np.full((count, len(landmarks.slots), views, 2), 0.5)
    xy = xy_true + errors[:, None, :, None] * [0.6, -0.8]
    ids = np.array([f"head-{i}" for i in range(count)])
    landmarks_mm = np.random.default_rng(0).normal(0, 50, (count, k, 3))
    absent = np.zeros((count, k), bool)
    return Vectors(landmarks, ids, np.full(count, "test"), xy, xy_true, landmarks_mm, absent, np.zeros((count, 3)))


def moved(vectors: Vectors, *by_mm: float) -> np.ndarray:
    """The true landmarks, all moved by the same (x, y, z) in mm."""
    return vectors.landmarks_mm + np.array(by_mm)


def report_of(predictions: dict[str, np.ndarray], vectors: Vectors, chosen: str) -> dict:
    """A complete report of one projection."""
    return {
        "schema": 1,
        "objects": {"test": len(vectors), "train": 70, "val": 15},
        "landmarks": list(vectors.landmarks.names),
        "frame_mm": {"orthographic": 420.0},
        "detector": {"orthographic": detector_report(vectors, DEFAULT_RIG)},
        "lifter": {"orthographic": lifter_report(predictions, vectors, chosen)},
    }


def test_a_summary_is_mean_median_and_95th_percentile():
    """Of 0 to 100 they are 50, 50 and 95, in any shape and order."""
    errors = np.random.default_rng(0).permutation(np.arange(102.0)[:101])

    assert summary(errors) == pytest.approx({"mean": 50, "median": 50, "p95": 95})
    assert summary(np.array([[1.0, 2.0], [3.0, 10.0]])) == pytest.approx({"mean": 4, "median": 2.5, "p95": 8.95})


def test_no_answer_is_no_error():
    """Objects without an answer are left out of the errors."""
    assert summary(np.array([1.0, NAN, 3.0, np.inf])) == summary(np.array([1.0, 3.0]))


@pytest.mark.parametrize("errors", [np.empty((0, 2)), np.full((3, 2), NAN)])
def test_no_answer_at_all_is_null(errors):
    """The summary is null, since NaN is no JSON: browsers would reject the whole report."""
    assert json.loads(json.dumps(summary(errors), allow_nan=False)) == {"mean": None, "median": None, "p95": None}


def test_the_detector_is_measured_in_per_cent_of_the_width():
    """View i of nine has an error of i per cent for each object: so has by_view, and the mean is that of all."""
    errors = np.tile(np.arange(9) / 100, (4, 1))

    test = detector_report(vectors_with(errors), DEFAULT_RIG)["test"]

    assert set(test) == {
        *("error_pct_width", "interval_pct_width", "by_view", "interval_by_view"),
        *("error_pct_width_without_front", "interval_pct_width_without_front"),
    }
    assert test["by_view"] == pytest.approx({str(i): i for i in range(9)})
    assert test["error_pct_width"] == pytest.approx({"mean": 4, "median": 4, "p95": 8})
    assert test["interval_by_view"] == {str(i): pytest.approx([i, i]) for i in range(9)}  # all objects alike


def test_the_detector_names_its_views():
    """The rig is part of the report, so that a view can be labelled with its angle."""
    part = detector_report(vectors_with(np.zeros((4, 9))), DEFAULT_RIG)

    assert Rig.from_dict(part["rig"]) == DEFAULT_RIG


def test_one_error_leaves_out_the_front_view():
    """It is zero for a detector that is wrong in the exact front view only."""
    errors = np.zeros((4, 9))
    errors[:, 4] = 0.18

    test = detector_report(vectors_with(errors), DEFAULT_RIG)["test"]

    assert test["error_pct_width"]["mean"] == pytest.approx(2)
    assert test["error_pct_width_without_front"] == {"mean": 0, "median": 0, "p95": 0}


def test_a_rig_of_the_front_view_alone_has_no_error_without_it():
    """Without any other view that number is null, not NaN."""
    test = detector_report(vectors_with(np.full((2, 1), 0.01)), Rig.evenly(1, 0.0))["test"]

    assert test["error_pct_width_without_front"]["mean"] is None
    assert test["interval_pct_width_without_front"] == {"mean": None, "median": None, "p95": None}


def test_the_lifter_is_measured_over_both_instances():
    """Left errors of 3 mm and right errors of 5 mm have a mean of 4 mm."""
    vectors = vectors_with(np.zeros((10, 9)))
    off = np.zeros((10, 2, 3))
    off[:, 0], off[:, 1] = (0, 3, 0), (3, 0, -4)

    report = lifter_report({"mlp": vectors.landmarks_mm + off, "exact": vectors.landmarks_mm}, vectors, "mlp")

    assert set(report) == {"test", "chosen"}
    assert report["chosen"] == "mlp"
    assert report["test"]["mlp"].pop("by_landmark").keys() == set(vectors.landmarks.names)
    assert report["test"]["mlp"].pop("morphometrics") is None  # two points are no shape
    assert report["test"]["mlp"] == {
        "error_mm": pytest.approx({"mean": 4, "median": 4, "p95": 5}),
        "interval_mm": {name: pytest.approx([mean, mean]) for name, mean in (("mean", 4), ("median", 4), ("p95", 5))},
        "n": 10,
    }
    assert report["test"]["exact"] == {
        "error_mm": {"mean": 0, "median": 0, "p95": 0},
        "interval_mm": {"mean": [0, 0], "median": [0, 0], "p95": [0, 0]},
        "n": 10,
        "worse_by_mm": {"mean": pytest.approx([-4, -4]), "median": pytest.approx([-4, -4])},
    }


def test_n_counts_the_objects_that_have_an_answer():
    """An object without an answer counts for neither n nor the error; a method without any has null and 0."""
    vectors = vectors_with(np.zeros((4, 9)))
    some = moved(vectors, 0, 0, 2)
    some[1] = NAN

    test = lifter_report({"some": some, "none": np.full((4, 2, 3), NAN)}, vectors, "some")["test"]

    assert (test["some"]["error_mm"], test["some"]["n"]) == ({"mean": 2, "median": 2, "p95": 2}, 3)
    assert test["none"] == {
        "error_mm": {"mean": None, "median": None, "p95": None},
        "interval_mm": {"mean": None, "median": None, "p95": None},
        "n": 0,
        "worse_by_mm": {"mean": None, "median": None},
    }


def test_each_landmark_has_its_own_errors():
    """The chosen method and the template have those of each landmark, over the objects with a label of it."""
    vectors = vectors_with(np.zeros((10, 9)), MIXED)
    vectors.landmarks_mm[:4, 3] = NAN
    off = np.zeros((10, 4, 3))
    off[..., 0] = [1, 2, 3, 4]
    off[0, 2] = NAN

    test = lifter_report(dict.fromkeys(("refined", "mlp", "template"), vectors.landmarks_mm + off), vectors, "refined")[
        "test"
    ]

    assert "by_landmark" not in test["mlp"]
    assert test["template"]["by_landmark"] == test["refined"]["by_landmark"]
    by_landmark = test["refined"]["by_landmark"]
    assert list(by_landmark) == list(MIXED.names)
    assert [scores["error_mm"]["mean"] for scores in by_landmark.values()] == pytest.approx([1, 2, 3, 4])
    assert [scores["n"] for scores in by_landmark.values()] == [10, 10, 9, 6]
    assert test["refined"]["n"] == 9  # one object lacks an answer; a missing label is no missing answer
    assert test["refined"]["error_mm"]["mean"] == pytest.approx((10 * 1 + 10 * 2 + 9 * 3 + 6 * 4) / 35)
    assert test["refined"]["morphometrics"]["n"] == 9  # one object has two landmarks only


def test_a_landmark_without_a_label_has_no_errors():
    """It has null, and spoils no other number."""
    vectors = vectors_with(np.full((4, 9), 0.01), MIXED)
    vectors.landmarks_mm[:, 1] = NAN
    vectors.xy_true[:, 0] = NAN

    report = report_of({"refined": moved(vectors, 0, 0, 2)}, vectors, "refined")

    test = report["lifter"]["orthographic"]["test"]["refined"]
    assert test["by_landmark"]["eye_right"] == {
        "error_mm": dict.fromkeys(STATISTICS),
        "interval_mm": dict.fromkeys(STATISTICS),
        "n": 0,
    }
    assert test["error_mm"]["mean"] == pytest.approx(2)
    assert report["detector"]["orthographic"]["test"]["error_pct_width"]["mean"] == pytest.approx(1)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert "all landmarks, mm" in table(report)
    assert table(report).startswith("test objects: 4 (training 70, validation 15); 4 landmarks")


def test_intervals_are_those_of_objects():
    """Each interval is bootstrapped over objects, and a second instance with the same errors does not narrow it."""
    errors = np.random.default_rng(0).gamma(2, size=(40, 2))

    found = intervals(errors)

    assert found == {name: list(bootstrap.interval(errors, name)) for name in ("mean", "median", "p95")}
    twice = np.repeat(errors[:, :1], 2, axis=1)  # a second instance with the same errors
    assert intervals(twice)["mean"] == pytest.approx(intervals(errors[:, :1])["mean"])


def test_methods_are_compared_on_the_same_objects():
    """A method that is 0.3 mm worse on each object has a narrow interval of 0.3 mm, however much the objects differ."""
    errors = np.random.default_rng(0).gamma(2, size=(40, 2))
    worse = errors + 0.3
    worse[7] = NAN

    assert worse_by(worse, errors) == {"mean": pytest.approx([0.3, 0.3]), "median": pytest.approx([0.3, 0.3])}
    assert np.ptp(intervals(worse)["mean"]) > 0.3


def test_methods_without_a_common_object_are_not_compared():
    """The difference is null."""
    first, second = np.full((4, 2), 1.0), np.full((4, 2), 1.0)
    first[:2], second[2:] = NAN, NAN

    assert worse_by(first, second) == {"mean": None, "median": None}


@pytest.mark.parametrize(("max_drawn", "num_boot"), [(10**9, 2000), (40 * 2 * 300, 300), (1, 200)])
def test_many_objects_are_drawn_less_often(monkeypatch, max_drawn, num_boot):
    """The numbers drawn per interval are limited, so that half a million objects take seconds."""
    errors = np.random.default_rng(0).gamma(2, size=(40, 2))
    monkeypatch.setattr("featurelib.evaluation.summaries.MAX_DRAWN", max_drawn)

    assert intervals(errors)["mean"] == list(bootstrap.interval(errors, "mean", num_boot=num_boot))


def test_errors_have_one_row_per_object():
    """Left and right of each object, by method; NaN without an answer."""
    vectors = vectors_with(np.zeros((3, 9)))
    moved_mm = moved(vectors, 3, 4, 0)
    moved_mm[1, 0] = NAN

    errors_mm = method_errors_mm({"mlp": moved_mm}, vectors)

    np.testing.assert_array_equal(errors_mm["mlp"], [[5, 5], [NAN, 5], [5, 5]])


def test_a_report_is_json_without_nan():
    """Even if a method has no answer at all, the report is strict JSON."""
    vectors = vectors_with(np.zeros((4, 9)))

    report = report_of({"triangulation": np.full((4, 2, 3), NAN)}, vectors, "mlp")

    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_the_table_has_a_line_for_every_number():
    """The text has the number of objects, both detector errors and all methods, marked as chosen or as baseline."""
    vectors = vectors_with(np.full((4, 9), 0.0125))
    predictions = {
        "mlp": moved(vectors, 0, 0, 2),
        "triangulation": np.full((4, 2, 3), NAN),
        "mean_point": moved(vectors, 0, 12.5, 0),
        "template": moved(vectors, 7.25, 0, 0),
    }

    text = table(report_of(predictions, vectors, "mlp"))

    head, _, projection, *lines = text.splitlines()
    assert head == "test objects: 4 (training 70, validation 15)"
    assert projection == "orthographic, image 420 mm wide"
    assert [line.split() for line in lines] == [
        ["detector,", "%", "of", "the", "width", "mean", "median", "p95", "mean,", "95", "%"],
        ["all", "views", "1.25", "1.25", "1.25", "1.25", "to", "1.25"],
        ["without", "the", "exact", "front", "1.25", "1.25", "1.25", "1.25", "to", "1.25"],
        ["both", "landmarks,", "mm", "mean", "median", "p95", "mean,", "95", "%"],
        ["mlp", "(chosen)", "2.00", "2.00", "2.00", "2.00", "to", "2.00"],
        ["triangulation", "-", "-", "-", "-"],
        ["mean_point", "(baseline)", "12.50", "12.50", "12.50", "12.50", "to", "12.50"],
        ["template", "(baseline)", "7.25", "7.25", "7.25", "7.25", "to", "7.25"],
    ]
    assert len({len(line) for line in lines}) == 1  # the columns are aligned


def test_the_table_has_the_floor_of_repeats():
    """The error of a single mark is the last line, in the same columns."""
    vectors = vectors_with(np.full((4, 9), 0.0125))
    report = report_of({"mlp": moved(vectors, 0, 0, 2)}, vectors, "mlp")
    floor_mm = {"mean": 0.36, "median": 0.29, "p95": 0.64}
    *lines, head, line = table({**report, "repeats": {"n": 24, "floor_mm": floor_mm}}).splitlines()

    assert lines[:-1] == table(report).splitlines()
    assert head.split()[:4] == ["24", "repeated", "marks,", "mm"]
    assert line.split() == ["error", "of", "a", "single", "mark", "0.36", "0.29", "0.64", "-"]
    assert len(line) == len(head) == len(lines[-2])
