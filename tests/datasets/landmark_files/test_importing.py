"""From landmark files to rows: the object and the sides of the points."""

import json

import pytest

from featurelib.datasets.landmark_files.tables import Columns
from tests.datasets.landmark_files.conftest import LEFT, RIGHT, fcsv, markups

PAIR = (LEFT, RIGHT)
OTHER = ((9.0, 9.0, 9.5), (-9.0, 9.0, 9.5))
HEADER = "object_id,left_x,left_y,left_z,right_x,right_y,right_z"


def full(pair=PAIR, name="tragus", **more) -> str:
    """A markups file with both points."""
    return markups((f"{name}_L", pair[0]), (f"{name}_R", pair[1]), **more)


def row(object_id, pair=PAIR) -> str:
    return ",".join([object_id, *(repr(value) for xyz in pair for value in xyz)])


def table(*rows: str, header: str = HEADER) -> str:
    return "\n".join([header, *rows, ""])


def messages(found) -> str:
    return "\n".join(fault.message for fault in found.faults)


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        (f"{HEADER}\na,1.5,2,3,-1,2.5,3.5", Columns()),
        ("file,LX,LY,LZ,RX,RY,RZ\nscans/a.stl,1.5,2,3,-1,2.5,3.5", Columns()),
        ("Subject,x_left,y_left,z_left,x_right,y_right,z_right\na,1.5,2,3,-1,2.5,3.5", Columns()),
        ("id,TragusL X,TragusL Y,TragusL Z,TragusR X,TragusR Y,TragusR Z\na,1.5,2,3,-1,2.5,3.5", Columns()),
        ("Object ID,LEFT X (mm),LEFT_Y_mm,LEFT.z [mm],RX (mm),RY (mm),RZ (mm)\na,1.5,2,3,-1,2.5,3.5", Columns()),
        ("object_id,x_l_cm,y_l_cm,z_l_cm,x_r_cm,y_r_cm,z_r_cm\na,.15,.2,.3,-.1,.25,.35", Columns()),
        ("mesh,label,x,y,z\na.ply,right tragus,-1,2.5,3.5\na.ply,left tragus,1.5,2,3", Columns()),
        ("Specimen ID,Landmark name,X [mm],Y [mm],Z [mm]\na,Tragus (R),-1,2.5,3.5\na,Tragus (L),1.5,2,3", Columns()),
        ("head,which,x,y,z\na,l,1.5,2,3\na,r,-1,2.5,3.5", Columns(object="head", label="which")),
        ("specimen,landmark,side,x,y,z\na,tragus,L,1.5,2,3\na,tragus,R,-1,2.5,3.5\na,eye,L,9,9,9", Columns()),
        ("specimen,side,x,y,z\na,left,1.5,2,3\na,right,-1,2.5,3.5", Columns()),
        ("sep=;\nID;Side;X;Y;Z\na;Left;1,5;2;3\na;Right;-1;2,5;3,5\n;;;;\n", Columns()),
        ("id\tl x\tl y\tl z\tr x\tr y\tr z\t\na\t1,5\t2\t3\t-1\t2,5\t3,5\t\n\t\t\t\t\t\t\t\n", Columns()),
        ("id | l x | l y | l z | r x | r y | r z\na | 1.5 | 2 | 3 | -1 | 2.5 | 3.5\n", Columns()),
        (
            "nr,p,q,r,s,t,u\na,1.5,2,3,-1,2.5,3.5",
            Columns(object="nr", left=("p", "q", "r"), right=("s", "t", "u")),
        ),
    ],
)
def test_a_table_may_have_any_columns_and_separators(imported, content, columns):
    """One row per object or per point, with usual names or with the given names."""
    for encoding in ("utf-8-sig", "utf-16"):
        found = imported({"all.csv": content.encode(encoding)}, ("a", "b"), columns=columns)

        assert found.landmarks == {"a": PAIR}
        assert (found.faults, found.notes) == ((), ())


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("scan", ("subject", "S1", "S2")),
        ("name", ("id", "1", "2")),
        ("Kopf", ("Alter", "31", "52")),
        ("", ("n", "0", "1")),
    ],
)
def test_the_column_whose_cells_are_objects_is_found(imported, name, ids):
    """Among columns of usual names, or among all if there are none; a table of numbered points has no such column."""
    other, *values = ids
    rows = [f"{value},{row(object_id)}" for value, object_id in zip(values, ("P01", "P02"), strict=True)]
    found = imported({"all.csv": table(*rows, header=f"{other},{HEADER.replace('object_id', name)}")})

    assert found.landmarks == {"P01": PAIR, "P02": PAIR}
    assert found.notes == (f"all.csv: column {name!r} names the objects",)
    points = table("1,L,1.5,2,3", "2,R,-1,2.5,3.5", header="n,side,x,y,z")
    assert imported({"3.csv": points}, ("1", "2", "3")).landmarks == {"3": PAIR}


def test_columns_in_two_units_are_refused(imported):
    found = imported({"all.csv": table(row("P01"), header=HEADER.replace("_z", "_z (cm)")), "P02.mrk.json": full()})

    assert "all.csv: columns in cm and no unit; write them in one unit" in messages(found)


def test_slicers_own_tables_name_the_axes(imported):
    """A point that is not defined is missing; 0, 0, 0 is a position if it is defined."""
    rows = "tragus_L,-1.5,-2,3,1\ntragus_R,0,0,0,{}\n"
    files = {"P01.csv": "label,r,a,s,defined\n" + rows.format(1), "P02.csv": "label,r,a,s,defined\n" + rows.format(0)}
    found = imported(files)

    assert found.landmarks == {"P01": (LEFT, (0.0, 0.0, 0.0))}
    assert "P02.csv: object 'P02': no right point: 'tragus_R'" in messages(found)


def test_group_and_split_are_kept(imported):
    found = imported({"all.csv": table(f"{row('P01')},smith,test", header=f"{HEADER},Group,split")})

    assert found.extras == {"P01": ("smith", "test")}


def test_units_are_converted(imported):
    """The option wins over the unit that a file names; millimetres of Slicer are the numbers of the mesh."""
    plain = {"P01.json": '{"left": [4, 0, 0], "right": [0, 0, 8]}'}
    twice = {
        "P01.mrk.json": full().replace(
            '"coordinateSystem"', '"coordinateUnits": ["cm", "cm", "cm"], "coordinateSystem"'
        )
    }

    assert imported(plain, unit="cm", landmark_unit="mm").landmarks == {"P01": ((0.4, 0.0, 0.0), (0.0, 0.0, 0.8))}
    assert imported(twice).landmarks == {"P01": tuple(tuple(10 * x for x in xyz) for xyz in PAIR)}
    assert imported(twice, unit="cm").landmarks == imported(twice, landmark_unit="mm").landmarks == {"P01": PAIR}
    assert imported({"P01.mrk.json": full()}, unit="inch").landmarks == {"P01": PAIR}


def test_units_must_be_known_and_agree(imported):
    unknown = full().replace('"coordinateSystem"', '"coordinateUnits": "um", "coordinateSystem"')
    left, right = (json.loads(markups((f"tragus_{side}", xyz))) for side, xyz in (("L", LEFT), ("R", RIGHT)))
    right["markups"][0]["coordinateUnits"] = "cm"
    both = json.dumps({"markups": left["markups"] + right["markups"]})

    assert "coordinateUnits um; expected one of mm, cm, m, inch" in messages(
        imported({"P01.mrk.json": full(), "P02.mrk.json": unknown})
    )
    assert "points in mm and in cm" in messages(imported({"P01.mrk.json": full(), "P02.mrk.json": both}))
    sides = {"P01_left.mrk.json": json.dumps(left), "P01_right.mrk.json": json.dumps(right)}
    assert imported(sides).landmarks == {}


@pytest.mark.parametrize("value", ["1e308", "-1e300", "1e13"])
def test_numbers_that_overflow_are_no_coordinates(imported, value):
    found = imported({"P01.json": f'{{"left": [{value}, 0, 0], "right": [0, 0, 8]}}'})

    assert found.landmarks == {}
    assert "expected three finite numbers, none beyond 1e+12" in messages(found)


def test_quoted_decimal_commas_in_a_table_with_commas(imported):
    """A comma before any number of digits but three is a decimal mark; before three it may separate thousands."""
    cells = '"1,5","2,000","3,0","-1,0","2,5","3,5"'
    assert imported({"a.csv": table(f"P01,{cells}")}).landmarks == {"P01": PAIR}

    found = imported({"a.csv": table(row("P02"), 'P01,"1,500","2,000",3,4,5,6')})
    assert "'left' is 1,500 2,000 3; expected three finite numbers with decimal points" in messages(found)


def test_files_in_a_subfolder_are_named(imported):
    found = imported({"P01/a.mrk.json": full(), "P01/b.fcsv": fcsv(("tragus_L", OTHER[0]), ("tragus_R", OTHER[1]))})

    assert "P01/a.mrk.json and P01/b.fcsv: object 'P01' has different points" in messages(found)


@pytest.mark.parametrize(
    "third",
    [
        full(name="eye"),
        markups(("L", LEFT), ("R", RIGHT)),
        markups(("tragus_L", [0, 0, 0], {"positionStatus": "missing"}), ("tragus_R", RIGHT), ("eye_L", LEFT)),
        markups(("tragus_L", [7, 7, 7], {"positionStatus": "undefined"}), ("tragus_R", RIGHT)),
        markups(("tragus_L", [7, 7, 7], {"positionStatus": "preview"}), ("tragus_R", RIGHT)),
        markups(("tragus_L", None), ("tragus_R", RIGHT)),
        markups(("tragus_L", [float("nan")] * 3), ("tragus_R", RIGHT), ("left", LEFT)),
        full(kind="ClosedCurve"),
    ],
)
def test_another_landmark_and_a_missing_point_are_not_taken(imported, third):
    """The object is left out by name, and the others come in."""
    found = imported({"P01.mrk.json": full(), "P02.mrk.json": full(OTHER), "P03.mrk.json": third})

    assert found.landmarks == {"P01": PAIR, "P02": OTHER}
    assert [fault.object_id for fault in found.faults] == ["P03"]
    assert "P03.mrk.json" in messages(found)


def test_only_eyes_are_no_tragi(imported):
    """Even where no label in the files names the landmark; with the flags of the message they are taken."""
    files = {"P01.mrk.json": full(name="eye")}
    found = imported(files)

    assert found.landmarks == {}
    assert "among 'eye_L', 'eye_R'; name it with --left" in messages(found)
    assert imported(files, left="eye_L", right="eye_R").landmarks == {"P01": PAIR}


@pytest.mark.parametrize(
    "others",
    [
        (("anti-tragus L", OTHER[0]), ("anti-tragus R", OTHER[1])),
        (("tragus tip L", OTHER[0]), ("tragus_R", RIGHT)),
        (("tragus_L", None, {"positionStatus": "missing"}), ("tragus_L_2", OTHER[0]), ("tragus_R", RIGHT)),
    ],
)
def test_a_longer_label_is_not_taken_beside_exact_ones(imported, others):
    found = imported({"P01.mrk.json": full(), "P02.mrk.json": markups(*others)})

    assert found.landmarks == {"P01": PAIR}
    assert "P02.mrk.json: object 'P02': no left point" in messages(found)


def test_longer_labels_are_noted_where_none_is_exact(imported):
    found = imported({"P01.mrk.json": full(name="upper tragus")})

    assert found.landmarks == {"P01": PAIR}
    (note,) = found.notes
    assert note == "no label is 'tragus' alone; longer ones were read for it: 'upper tragus_L', 'upper tragus_R'"


@pytest.mark.parametrize("labels", [("L", "R"), ("left", "right"), ("left point", "right point"), ("F_L", "F_R")])
def test_labels_of_sides_are_enough_where_none_names_the_landmark(imported, labels):
    points = zip(labels, PAIR, strict=True)

    assert imported({"P01.mrk.json": markups(*points, ("nose", OTHER[0]))}).landmarks == {"P01": PAIR}


def test_a_curve_beside_the_points_is_left_out(imported):
    """Locked, unselected and invisible points count."""
    hidden = {"locked": True, "selected": False, "visibility": False}
    values = json.loads(markups(("tragus_L", LEFT, hidden), ("tragus_R", RIGHT, hidden)))
    values["markups"] += json.loads(markups(("ear left", OTHER[0]), ("tragus left", OTHER[1]), kind="Curve"))["markups"]

    assert imported({"P01.mrk.json": json.dumps(values)}).landmarks == {"P01": PAIR}


def test_point_lists_in_both_axes_are_joined(imported):
    """The points of the second list are turned into the axes of the first."""
    values = json.loads(markups(("tragus_L", LEFT)))
    values["markups"] += json.loads(markups(("tragus_R", (1.0, -2.5, 3.5)), space="RAS"))["markups"]

    assert imported({"P01.mrk.json": json.dumps(values)}).landmarks == {"P01": PAIR}


@pytest.mark.parametrize("twice", ["tragus_L", "tragus_R"])
def test_a_label_twice_is_a_fault(imported, twice):
    """No flag can choose one of them."""
    file = markups(("tragus_L", LEFT), ("tragus_R", RIGHT), (twice, OTHER[0]))
    found = imported({"P01.mrk.json": file, "P02.mrk.json": full()})

    assert found.landmarks == {"P02": PAIR}
    assert f"P01.mrk.json: object 'P01': label {twice!r} twice; remove or rename one" in messages(found)


def test_glued_labels_are_named_with_the_flags_that_work(imported):
    files = {"P01.mrk.json": markups(("ltragus", LEFT), ("rtragus", RIGHT))}
    found = imported(files)

    assert "no left point of 'tragus' among 'ltragus', 'rtragus'; name it with --left" in messages(found)
    assert imported(files, left="ltragus", right="rtragus").landmarks == {"P01": PAIR}


MARKERS = ("nan", "NA", "N/A", "null", "", ".", "-9999", "#NV")


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_marker_in_a_table_is_no_point(imported, marker, separator):
    """The object is left out by name, and the others come in."""
    cells = [row("P03").split(",")[:4] + [marker] * 3, row("P01").split(","), row("P02").split(",")]
    found = imported({"all.csv": "\n".join(separator.join(x) for x in [HEADER.split(","), *cells])})

    assert found.landmarks == {"P01": PAIR, "P02": PAIR}
    assert [fault.object_id for fault in found.faults] == ["P03"]
    assert "all.csv line 2: object 'P03': no right point: 'right' is" in messages(found)


@pytest.mark.parametrize("value", [None, [float("nan")] * 3, [-9999] * 3, [None] * 3, ["NA"] * 3])
def test_a_marker_in_json_is_no_point(imported, value):
    found = imported(
        {"all.json": json.dumps({"P01": {"left": LEFT, "right": RIGHT}, "P02": {"left": value, "right": RIGHT}})}
    )

    assert found.landmarks == {"P01": PAIR}
    assert "all.json: object 'P02':" in messages(found)


@pytest.mark.parametrize(
    "broken",
    [full()[:90], "", "[1]", '{"markups": 3}', "{" * 100_000, full().replace("LPS", "IJK"), '{"a": 1, "a": 2}'],
)
def test_a_broken_file_is_left_out_by_name(imported, broken):
    """The other files come in."""
    found = imported({"P01.mrk.json": full(), "P02.mrk.json": broken, "P03.mrk.json": full(OTHER)})

    assert found.landmarks == {"P01": PAIR, "P03": OTHER}
    assert len(found.faults) == 1
    assert found.faults[0].message.startswith("P02.mrk.json: ")
    assert "\n" not in found.faults[0].message


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (row("P02").replace("1.5", "1.5.0"), "expected three finite numbers"),
        (row("P02").replace("1.5", "inf"), "expected three finite numbers"),
        (f"{row('P02')},7,8", "more values than the header's 7 columns"),
        (f"{row('P02')}\n{row('P02', OTHER)}", "all.csv line 3 and all.csv line 4: object 'P02' has different points"),
        (row("P02-2"), "no mesh for 'P02-2'; if these are points of P02, name them exactly so"),
        (row("P7"), "no mesh for 'P7'"),
    ],
)
def test_a_broken_row_is_left_out_by_name(imported, broken, message):
    """The other rows come in."""
    found = imported({"all.csv": table(row("P01"), broken, row("P03"))})

    assert [*found.landmarks] == ["P01", "P03"]
    assert message in messages(found)


@pytest.mark.parametrize("copy", ["P01 copy", "P01-old", "P01_T2", "P01_landmarks", "p01"])
@pytest.mark.parametrize("first", [True, False])
def test_the_exact_name_wins(imported, copy, first):
    """Whatever the order of the files; the other file is named."""
    files = {"P01.mrk.json": full(), f"{copy}.mrk.json": full(OTHER)}
    found = imported(files if first else dict(reversed(files.items())))

    assert found.landmarks == {"P01": PAIR}
    assert f"{copy}.mrk.json" in messages(found)
    assert found.notes == ()


def test_a_longer_name_is_noted(imported):
    header = HEADER.replace("left", "tragus_left").replace("right", "tragus_right")
    found = imported({"P01_picked_points.mrk.json": full(), "all.csv": table(row("p02"), header=header)})

    assert found.landmarks == {"P01": PAIR, "P02": PAIR}
    assert found.notes == (
        "P01_picked_points.mrk.json was read for object 'P01'",
        "all.csv: 'p02' was read for object 'P02'",
    )


def test_two_longer_names_with_different_points_are_a_fault(imported):
    """Neither is taken; equal points are one."""
    files = {"P01_landmarks.mrk.json": full(), "P01_markups.mrk.json": full(OTHER)}
    found = imported(files)

    assert found.landmarks == {}
    assert "object 'P01' has different points in them; keep one" in messages(found)
    assert imported(dict.fromkeys(files, full())).landmarks == {"P01": PAIR}


def test_a_file_per_side_is_one_pair(imported):
    """The side is in the file's name; a label with another landmark's name is not taken."""
    left, right = markups(("F-1", LEFT)), markups(("F-1", (1.0, -2.5, 3.5)), space="RAS")

    assert imported({"P01_left.mrk.json": left, "P01_right.mrk.json": right}).landmarks == {"P01": PAIR}
    assert imported(
        {"P01_tragus_R.mrk.json": right, "P01_tragus_L.mrk.json": left, "P02.mrk.json": full()}
    ).landmarks == {
        "P01": PAIR,
        "P02": PAIR,
    }
    assert imported({"P01_left.mrk.json": markups(("eye", LEFT)), "P01_right.mrk.json": right}).landmarks == {}
    assert "no right point of 'tragus' among 'left'" in messages(imported({"P01_left.mrk.json": left}))


def test_names_with_commas_and_other_bytes(imported):
    """A table of Windows is read with a note."""
    ids = ("Doe, Jane", "Müller")
    found = imported({"all.csv": table(row('"Doe, Jane"'), row("Müller")).encode("cp1252")}, ids)

    assert [*found.landmarks] == ["Doe, Jane", "Müller"]
    assert found.notes == ("all.csv: read as Windows-1252, not UTF-8: ü",)
    assert found.faults == ()


@pytest.mark.parametrize("cell", ["P01/head.obj", "C:\\scans\\P01\\head.obj", "P01/P01.ply", "x/P01"])
def test_a_path_in_a_table_may_have_the_object_as_its_folder(imported, cell):
    assert imported({"all.csv": table(row(cell))}).landmarks == {"P01": PAIR}


def test_lost_zeros_are_named(imported):
    found = imported({"all.csv": table(row("1"), row("2.0"))}, ("001", "002"))

    assert found.landmarks == {}
    assert "but for 001: spreadsheets drop the zeros of numbers" in messages(found)


def test_other_texts_are_not_read(imported):
    found = imported({"readme.txt": "our scans\nof 2020\n", "P01.mrk.json": full()})

    assert found.landmarks == {"P01": PAIR}
    assert (found.faults, found.notes) == ((), ("readme.txt: not read: neither Morphologika nor a table of points",))
