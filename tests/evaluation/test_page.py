import copy
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from featurelib.evaluation import (
    ErrorTable,
    ReportImage,
    WorstObject,
    detector_report,
    lifter_report,
    method_errors_mm,
    page,
    pairs_report,
)
from featurelib.evaluation.methods import drawn_methods
from featurelib.evaluation.scatter import scatter_report
from featurelib.geometry import DEFAULT_RIG, LandmarkSet
from featurelib.models.lifter.vectors import Vectors

NAN = float("nan")
WICKED = """<img src=x onerror="alert('1')">&amp;"""
SPREAD_MM = {"refined": 0.3, "mlp": 2, "triangulation": 1.5, "robust": 1.2, "robust_all": 1.1, "consensus": 1.3}
SPREAD_MM |= {"mean_point": 9, "template": 3}
NOTHING = dict.fromkeys(("mean", "median", "p95"))
UNCERTAINTY = {
    "method": "refined",
    "calibration": [[0.1 * i, 0.1 * i] for i in range(1, 10)],
    "coverage_68": 0.70,
    "coverage_95": 0.94,
    "accepted": {"n": 6, "landmarks": 12, "median_mm": 0.39},
    "rejected": {"n": 2, "landmarks": 4, "median_mm": 1.1, "reasons": {WICKED: f"moved by {WICKED}"}},
}


PAIR = LandmarkSet.single_pair("ear")
MIXED = LandmarkSet((("eye_left", "eye_right"), (WICKED, "ear_right")), midline=("nose",), unpaired=("scar",))
PRESENCE = {"absent_found": 1, "absent_missed": 0, "present_found": 7, "present_missed": 0}


def made(
    projections=("orthographic", "perspective"), methods=tuple(SPREAD_MM), chosen="refined", landmarks=PAIR, count=8
):
    """A report, its errors and its worst objects, of eight objects with random errors; a set lacks some labels."""
    random, k = np.random.default_rng(0), len(landmarks.names)
    ids = np.array([f"head-{i}" for i in range(count - 1)] + [WICKED])
    xy_true = random.uniform(0.3, 0.7, (count, len(landmarks.slots), 9, 2))
    xy = xy_true + random.normal(0, 0.01, xy_true.shape)
    landmarks_mm = random.normal(0, 70, (count, k, 3))
    if k > 2:
        landmarks_mm[1, 0] = NAN
    absent, centre_mm = np.zeros((count, k), bool), np.zeros((count, 3))
    vectors = Vectors(landmarks, ids, np.full(count, "test"), xy, xy_true, landmarks_mm, absent, centre_mm)
    report = {"schema": 1, "objects": {"train": 70, "val": 15, "test": 8}, "frame_mm": {}, "detector": {}, "lifter": {}}
    report["landmarks"] = list(landmarks.names)
    report["audit"] = {"leaks": [], "near_duplicates": []}
    curves, worst = {}, []
    for projection in projections:
        found = {name: landmarks_mm + random.normal(0, SPREAD_MM[name], (count, k, 3)) for name in methods}
        report["frame_mm"][projection] = 420.0
        report["detector"][projection] = detector_report(vectors, DEFAULT_RIG)
        errors_mm = method_errors_mm(found, vectors)
        scatter = scatter_report(found[chosen] - landmarks_mm, landmarks)
        regions = {"coverage_68": 0.7, "coverage_95": None, "rejected": 0, **PRESENCE}
        report["lifter"][projection] = {
            **lifter_report(found, vectors, chosen),
            "uncertainty": UNCERTAINTY,
            "presence": PRESENCE,
            "landmarks": {name: {**regions, **scatter[name]} for name in landmarks.names},
            "pairs": pairs_report(errors_mm[chosen], landmarks),
        }
        curves[projection] = ErrorTable(ids.tolist(), np.isfinite(landmarks_mm).all(axis=-1), errors_mm)
        worst += [worst_object(object_id, projection, landmarks) for object_id in ids[-2:]]
    return json.loads(json.dumps(report)), curves, worst


def worst_object(object_id: str, projection: str, landmarks: LandmarkSet) -> WorstObject:
    """An object with three images."""
    file = io.BytesIO()
    Image.new("L", (64, 64), 200).save(file, "PNG")
    k = len(landmarks.names)
    at = np.stack([np.linspace(0.4, 0.6, k), np.full(k, 0.5)], axis=1)
    images = tuple(ReportImage(file.getvalue(), i, 45.0 * i - 45, at, at + 0.02) for i in range(3))
    return WorstObject(str(object_id), projection, landmarks, np.array([3.25, *[NAN] * (k - 1)]), images)


def made_pair() -> tuple:
    """The arguments of a page of one pair."""
    report, errors, worst = made()
    return report, PAIR, errors, worst


def drawn_curves(plot) -> dict[str, str]:
    """The style of each curve by its tooltip, in the order in which they are drawn."""
    curves = [group for group in plot.all("g") if group.children and group.children[0].name == "title"]
    return {group.children[0].text: group.all("path")[0].attributes["style"] for group in curves}


def headings(root) -> list[str]:
    """The titles of the page's sections."""
    [main] = root.all("main")
    return [heading.text for heading in main.all("h2")]


def test_the_page_is_one_file_that_asks_for_nothing(parsed):
    """It has no script, address, style sheet or font from elsewhere: it can be mailed and read without a network."""
    html = page(*made_pair())

    root = parsed(html)
    assert html.startswith("<!doctype html>")
    assert re.findall(r"https?:|//[a-z]|url\((?!#)|@import|@font-face", html) == []
    assert [e for name in ("script", "link", "iframe", "object", "embed", "form") for e in root.all(name)] == []
    assert all(img.attributes["src"].startswith("data:image/png;base64,") for img in root.all("img"))
    assert not re.search(r"""<[^>]*\son\w+=["']""", html)


def test_ids_are_unique_and_are_found(parsed):
    """Each id is on the page once, and each reference has its target."""
    html = page(*made_pair())
    root, ids = parsed(html), re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids)) > 0
    assert set(re.findall(r'(?:url\(|href=")#([^")]*)', html)) <= set(ids)
    for plot in root.all("svg"):
        if plot.attributes.get("role") == "img":
            assert {plot.attributes["aria-labelledby"], plot.attributes["aria-describedby"]} <= set(ids)
        else:
            assert plot.attributes["aria-hidden"] == "true"


def test_what_users_named_is_text(parsed):
    """An object's id with HTML in it is shown as it is: in a heading, a reason, a leak."""
    report, curves, worst = made()
    report["audit"] = {"leaks": [f"object {WICKED} is in test and in train"], "near_duplicates": [WICKED]}

    html = page(report, PAIR, curves, worst)

    root = parsed(html)
    assert "onerror=" not in html.replace("onerror=&#34;", "")
    assert html.count("<img src=x") == 0
    shown = [e.words() for name in ("h4", "th", "li") for e in root.all(name)]
    assert sum(WICKED in words for words in shown) == 2 + 2 + 2
    assert {img.attributes["alt"].split(" from azimuth")[0] for img in root.all("img")} >= {WICKED, "head-6"}


def test_the_table_has_every_method_beside_both_baselines(parsed):
    """Rows are in ascending order of the mean, columns and rows have headings, numbers have their interval below."""
    report, curves, worst = made()

    table = parsed(page(report, PAIR, curves, worst)).all("table")[0]

    rows = table.all("tbody")[0].all("tr")
    names = [row.all("span", "method")[0].text for row in rows]
    means = [report["lifter"]["orthographic"]["test"][name]["error_mm"]["mean"] for name in names]
    assert sorted(names) == sorted(SPREAD_MM)
    assert means == sorted(means)
    assert all(th.attributes["scope"] in ("col", "colgroup", "row") for th in table.all("th"))
    assert [th.text for th in table.all("th") if th.attributes["scope"] == "colgroup"] == [
        "orthographic, 8 objects",
        "perspective, 8 objects",
    ]
    assert all(len(row.all("td")) == 2 * 4 for row in rows)
    scores = report["lifter"]["perspective"]["test"]["mlp"]
    cells = rows[names.index("mlp")].all("td")[4:]
    low, high = scores["interval_mm"]["mean"]
    assert cells[0].text == f"{scores['error_mm']['mean']:.2f}"
    assert cells[0].all("span", "ends")[0].text == f"{low:.2f} to {high:.2f}"
    assert cells[3].text == "{:+.2f} to {:+.2f}".format(*scores["worse_by_mm"]["mean"])
    assert [span.text for row in rows for span in row.all("span", "badge")] == ["chosen", "baseline", "baseline"]


def test_both_projections_share_their_axis(parsed):
    """Curves have the same range in both panels, and so have views; each method has the same style in both."""
    root = parsed(page(*made_pair()))

    svgs = {e.attributes.get("aria-labelledby"): e for e in root.all("svg")}
    for name in ("curves", "views"):
        one, other = (svgs[f"{name}-{i}-title"] for i in range(2))
        ticks = [
            [(t.text, t.attributes["style"], t.attributes["transform"]) for t in svg.all("text") if t.text[0].isdigit()]
            for svg in (one, other)
        ]
        assert ticks[0] == ticks[1] != []
    drawn = [drawn_curves(svgs[f"curves-{i}-title"]) for i in range(2)]
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 6
    assert list(drawn[0])[-1] == "refined"
    assert sum("stroke-dasharray" in style for style in drawn[0].values()) == 2


def test_at_most_nine_curves_are_drawn():
    """The chosen, the refined, the MLP, triangulation, the best of the others and both baselines."""
    report, _, _ = made(chosen="robust_all")

    assert drawn_methods(report["lifter"]) == sorted(
        {"robust_all", "refined", "mlp", "triangulation", "robust", "mean_point", "template"},
        key=lambda name: report["lifter"]["orthographic"]["test"][name]["error_mm"]["mean"],
    )


def test_sections_without_content_are_left_out(parsed):
    """One projection, no refiner, no curves and no worst objects: the rest of the page is complete."""
    report, _, _ = made(("perspective",), ("mlp", "mean_point", "template"), chosen="mlp")

    root = parsed(page(report, PAIR, {}, []))

    assert headings(root) == [
        "Errors of all methods",
        "Calibration of the uncertainty",
        "Detector errors in the image",
        "Leaks between splits",
    ]
    assert "orthographic" not in root.words()


def test_methods_without_an_answer_do_not_break_it(parsed):
    """The table has "no answer", and there is no curve; also for the chosen method."""
    report, curves, worst = made()
    for method in ("refined", "triangulation"):
        scores = report["lifter"]["orthographic"]["test"][method]
        scores.update(error_mm=NOTHING, interval_mm=NOTHING, n=0, worse_by_mm={"mean": None, "median": None})
        curves["orthographic"].by_method[method][:] = NAN

    root = parsed(page(report, PAIR, curves, worst))

    assert root.all("section", "tile")[0].all("p", "big")[0].text == "no answer"
    rows = {row.all("span", "method")[0].text: row for row in root.all("tbody")[0].all("tr")}
    assert [cell.words() for cell in rows["triangulation"].all("td")[:4]] == ["no answer"] * 3 + ["-"]
    plots = [e for e in root.all("svg") if "curves" in e.attributes.get("aria-labelledby", "")]
    assert [len(drawn_curves(plot)) for plot in plots] == [4, 6]


def test_a_report_without_any_answer_is_a_page(parsed):
    """Also one without test objects."""
    report, _, _ = made(("orthographic",))
    for scores in report["lifter"]["orthographic"]["test"].values():
        scores.update(error_mm=NOTHING, interval_mm=NOTHING, n=0)
    report["detector"]["orthographic"]["test"].update(
        error_pct_width=NOTHING, error_pct_width_without_front=NOTHING, by_view={str(i): None for i in range(9)}
    )

    nothing = ErrorTable([], np.empty((0, 2), bool), {method: np.empty((0, 2)) for method in SPREAD_MM})
    assert headings(parsed(page(report, PAIR, {"orthographic": nothing}, [])))


def test_marks_are_drawn_where_they_are(parsed):
    """A cross in the side's colour is the prediction, a ring is the true position, each over a pale shadow."""
    report, curves, worst = made()

    [overlay, *_] = parsed(page(report, PAIR, curves, worst)).all("svg", "overlay")[3:]

    assert overlay.attributes["viewbox"] == "0 0 64 64"
    marks = [
        (e.name, e.attributes["class"], e.attributes["transform"]) for n in ("path", "circle") for e in overlay.all(n)
    ]
    at = [f"translate({x} 32.0) scale(1.78)" for x in (25.6, 38.4)]
    near = [f"translate({x} 33.28) scale(1.78)" for x in (26.88, 39.68)]
    assert marks == [
        ("path", "halo", at[0]),
        ("path", "found left", at[0]),
        ("path", "halo", at[1]),
        ("path", "found right", at[1]),
        ("circle", "halo", near[0]),
        ("circle", "true", near[0]),
        ("circle", "halo", near[1]),
        ("circle", "true", near[1]),
    ]
    assert [text.text for text in overlay.all("text")] == ["L", "R"]


def test_intervals_of_few_objects_carry_a_warning(parsed):
    """Eight objects are too few for a bootstrap, twenty are enough."""
    report, curves, worst = made()
    assert "too narrow" in parsed(page(report, PAIR, curves, worst)).words()

    for lifter in report["lifter"].values():
        for scores in lifter["test"].values():
            scores["n"] = 20
    assert "too narrow" not in parsed(page(report, PAIR, curves, worst)).words()


def test_missing_answers_are_counted(parsed):
    """The table has the number of objects for which a method has no answer and others have one."""
    report, curves, worst = made()
    report["lifter"]["perspective"]["test"]["mlp"]["n"] = 5

    assert "3 without an answer" in parsed(page(report, PAIR, curves, worst)).all("tbody")[0].words()


def test_repeats_are_named_with_the_floor_of_errors(parsed):
    """The page has the distance of the marks and the error of one; without repeats it has no such text."""
    report, landmarks, errors, worst = made_pair()
    plain = parsed(page(report, landmarks, errors, worst)).words()
    statistics = {"mean": 0.5, "median": 0.41, "p95": 0.9}, {"mean": 0.36, "median": 0.29, "p95": 0.64}
    repeats = {"n": 24, "objects": 4, **dict(zip(("distance_mm", "floor_mm"), statistics, strict=True))}
    words = " ".join(parsed(page({**report, "repeats": repeats}, landmarks, errors, worst)).words().split())

    assert "24 landmarks of 4 objects were marked twice, 0.41 mm apart" in words
    assert "0.29 mm (median) and 0.64 mm (95th percentile)" in words
    assert "marked twice" not in plain


@pytest.mark.parametrize("reasons", [{}, {"head-1": "moved"}])
def test_the_uncertainty_has_a_plot_and_tables(parsed, reasons):
    """The shares that regions contain, and the rejected objects with their reasons, if there are any."""
    report, curves, worst = made()
    rejected = {"n": len(reasons), "landmarks": len(reasons), "median_mm": 1.1 if reasons else None, "reasons": reasons}
    report["lifter"]["perspective"]["uncertainty"]["rejected"] = rejected

    root = parsed(page(report, PAIR, curves, worst))

    [panel] = [e for e in root.all("div", "panel") if "95 % regions" in e.words() and "perspective" in e.words()]
    assert "refined: 68 % regions contain 70 %, 95 % regions contain 94 %." in panel.words()
    assert [e.attributes["aria-labelledby"] for e in panel.all("svg")] == ["calibration-1-title"]
    tables = [[[cell.text for cell in row.children] for row in e.all("tr")[1:]] for e in panel.all("table")]
    assert tables[0] == [["accepted", "6", "0.39"], ["rejected", str(len(reasons)), "1.10" if reasons else "-"]]
    assert tables[1:] == ([[["head-1", "moved"]]] if reasons else [])


@pytest.mark.parametrize(
    ("audit", "text"),
    [
        ({"leaks": [], "near_duplicates": []}, "Nothing is shared between the splits."),
        ({"leaks": ["object a is in test and in train"], "near_duplicates": []}, "object a is in test and in train"),
        ({"leaks": [], "near_duplicates": ["a (test) is b (train)"]}, "a (test) is b (train)"),
    ],
)
def test_leaks_between_splits_are_listed(parsed, audit, text):
    """A line per leak, or one that there is none."""
    report, curves, worst = made()
    report["audit"] = audit

    root = parsed(page(report, PAIR, curves, worst))

    assert headings(root)[-1] == "Leaks between splits"
    assert text in root.all("main")[0].all("section")[-1].words()


def test_views_are_called_by_their_angle(parsed):
    """The x axis of the error by view has the azimuths, the front at 0 degrees."""
    root = parsed(page(*made_pair()))

    [svg] = [e for e in root.all("svg") if e.attributes.get("aria-labelledby") == "views-0-title"]
    angles = [t.text for t in svg.all("text") if t.text.endswith("°")]
    assert angles == ["-90°", "-67.5°", "-45°", "-22.5°", "0°", "22.5°", "45°", "67.5°", "90°"]


def test_a_learning_curve_is_drawn_with_its_promises(parsed):
    """The plot has all runs and promises in words; a single run has no section."""
    report, landmarks, errors, worst = made_pair()
    runs = [{"labelled": n, "median_mm": e, "low_mm": 0.9 * e, "high_mm": 1.1 * e} for n, e in ((40, 0.8), (60, 0.6))]
    promise = {"more": 20, "median_mm": 0.5, "low_mm": 0.4, "high_mm": 0.6}

    root = parsed(page({**report, "learning_curve": {"points": runs, "promises": [promise]}}, landmarks, errors, worst))
    alone = page({**report, "learning_curve": {"points": runs[:1], "promises": []}}, landmarks, errors, worst)

    [svg] = [e for e in root.all("svg") if e.attributes.get("aria-labelledby") == "learning-title"]
    assert svg.all("desc")[0].text == "40 objects 0.80 mm; 60 objects 0.60 mm; 80 objects 0.50 mm."
    assert "20 more labelled objects: about 0.50 mm expected, 0.40 to 0.60 mm" in " ".join(root.words().split())
    assert "Learning curve" not in alone


def test_the_report_is_left_as_it_is():
    """Rendering the page does not change the content of report.json, and gives the same page again."""
    report, curves, worst = made()
    before = copy.deepcopy(report)

    assert page(report, PAIR, curves, worst) == page(report, PAIR, curves, worst)
    assert report == before


def of_set(count=8) -> tuple:
    """The arguments of a page of a set."""
    report, errors, worst = made(("orthographic",), landmarks=MIXED, count=count)
    return report, MIXED, errors, worst


def test_a_set_has_a_row_for_each_landmark(parsed):
    """With numbers to sort by; the names are text, each row has its role, and presence is counted."""
    report, landmarks, errors, worst = of_set()

    root = parsed(page(report, landmarks, errors, worst))
    [by_landmark, pairs] = root.all("table", "sortable")
    rows = by_landmark.all("tbody")[0].all("tr")
    scores = report["lifter"]["orthographic"]["test"]["refined"]["by_landmark"]

    assert [row.all("th")[0].attributes["data-value"] for row in rows] == list(MIXED.names)
    assert [row.all("td")[0].text for row in rows] == [str(scores[name]["n"]) for name in MIXED.names]
    for row, name in zip(rows, MIXED.names, strict=True):
        mean = scores[name]["error_mm"]["mean"]
        assert float(row.all("td")[1].attributes["data-value"]) == mean
        assert row.all("td")[1].text == f"{mean:.2f}"
        assert len(row.all("td")) == len(by_landmark.all("thead")[0].all("th")) - 1
    assert [row.all("span", "dot")[0].attributes["title"] for row in rows] == list(MIXED.roles)
    assert [[th.text for th in row.all("th")] for row in pairs.all("tbody")[0].all("tr")] == [
        list(pair) for pair in MIXED.pairs
    ]
    assert "Of 1 landmarks that are labelled as absent, 1 were found to be" in " ".join(root.words().split())
    assert [script.name for script in root.all("script")] == ["script"]


def test_a_pair_has_no_tables_of_landmarks(parsed):
    """Its page has no script, and no sections of sets."""
    root = parsed(page(*made_pair()))

    assert not root.all("script")
    assert not root.all("table", "sortable")
    assert not root.all("svg", "matrix")


def test_the_matrix_has_a_cell_for_each_label(parsed):
    """Cells of a bad object are of the last class and in the first row; what is not labelled has no cell."""
    report, landmarks, errors, worst = of_set()
    errors["orthographic"].by_method["refined"][3] = 100
    errors["orthographic"].by_method["refined"][5, 2] = NAN

    root = parsed(page(report, landmarks, errors, worst))
    [drawing] = [svg for svg in root.all("svg", "matrix") if svg.attributes.get("role") == "img"]
    cells = {
        path.attributes["class"]: re.findall(r"M(\d+) (\d+)", path.attributes["d"]) for path in drawing.all("path")
    }

    assert sum(map(len, cells.values())) == 8 * 6 - 1
    assert cells["level-4"] == [(str(12 * column), "0") for column in range(6)]
    assert len(cells["level-5"]) == 1
    assert drawing.all("text")[0].text == "head-3"
    assert [text.text for text in drawing.all("text")[8:]] == [
        name if len(name) <= 28 else f"{name[:27]}…" for name in MIXED.names
    ]


def test_a_set_of_80_landmarks_on_100_objects_is_a_small_page(parsed):
    """It takes seconds and less than 2 MB, and is well-formed."""
    names = [f"landmark {i:02d}" for i in range(80)]
    landmarks = LandmarkSet(tuple(zip(names[:60:2], names[1:60:2], strict=True)), midline=tuple(names[60:]))
    report, errors, worst = made(("orthographic",), ("refined", "template"), landmarks=landmarks, count=130)

    html = page(report, landmarks, errors, worst)

    assert len(html.encode()) < 2_000_000
    root = parsed(html)
    assert len(root.all("table", "sortable")[0].all("tbody")[0].all("tr")) == 80
    assert "(100 of 130)" in root.words()
