import pytest

from featurelib.datasets.objects_table import Extra, merge_objects, read_objects, write_objects
from featurelib.errors import DataError


@pytest.mark.parametrize(
    ("extras", "text"),
    [
        ({}, "object_id\n"),
        ({"a": ("", "")}, "object_id\na\n"),
        ({"a": ("kin, too", "")}, 'object_id,group\na,"kin, too"\n'),
        ({"a": ("", "test"), "b": ("", "")}, "object_id,split\na,test\nb,\n"),
        ({"a": ("kin", "val"), "b": ("kin", "")}, "object_id,group,split\na,kin,val\nb,kin,\n"),
    ],
)
def test_objects_are_read_as_they_were_written(extras, text):
    """A column that would be empty is left out."""
    assert write_objects(extras).decode() == text
    assert read_objects(text.encode(), "objects.csv") == {name: Extra(*extra) for name, extra in extras.items()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,group\na,kin\n", ": no column object_id; expected object_id"),
        ("object_id,split\na,train\nb,training\n", " line 3: split 'training'; expected train, val, test or nothing"),
        ("object_id,group\na,x\nb,y\na,x\n", " line 4: duplicate object_id 'a'; keep one row"),
        ("object_id,group\n,x\n", " line 2: object_id is empty; expected the mesh file's name without its ending"),
        ("object_id,group\na,x,y\n", " line 2: more values than the header's 2 columns"),
    ],
)
def test_bad_rows_are_named(text, message):
    """The error names the file, the line and the value."""
    with pytest.raises(DataError) as error:
        read_objects(text.encode(), "objects.csv")

    assert str(error.value).startswith(f"objects.csv{message}")


def test_all_faults_can_be_collected():
    """The other rows are read."""
    faults = []
    found = read_objects(b"object_id,split\na,dev\nb,val\nb,test\n", "objects.csv", faults)

    assert found == {"b": Extra("", "val")}
    assert [fault.object_id for fault in faults] == ["a", "b"]


def test_a_merge_keeps_other_rows_and_columns():
    """Rows are replaced or added by object and sorted; a new file is one, too."""
    before = b"object_id;sex;group\nc;f;old\nb;m;kin\n"

    merged = merge_objects(before, "objects.csv", {"c": ("new", "test"), "a": ("", "")})

    assert merged.decode() == "object_id,group,split,sex\na,,,\nb,kin,,m\nc,new,test,f\n"
    assert merge_objects(b"", "objects.csv", {"a": ("kin", "")}) == write_objects({"a": ("kin", "")})
