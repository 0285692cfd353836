"""The axes that 3D Slicer writes into mesh files."""

import gzip
from pathlib import Path

import pytest
from vtkmodules.vtkCommonCore import vtkStringArray
from vtkmodules.vtkFiltersSources import vtkSphereSource
from vtkmodules.vtkIOLegacy import vtkPolyDataWriter
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from featurelib.datasets.landmark_files.slicer import mesh_space


def _written(writer, folder: Path, space: str | None) -> bytes:
    source, name = vtkSphereSource(), vtkStringArray()
    source.Update()
    sphere = source.GetOutput()
    if space:
        name.SetName("SPACE")
        name.InsertNextValue(space)
        sphere.GetFieldData().AddArray(name)
    writer.SetInputData(sphere)
    writer.SetFileName(str(folder / "a"))
    writer.Write()
    return (folder / "a").read_bytes()


@pytest.mark.parametrize("space", ["LPS", "RAS", None])
@pytest.mark.parametrize("mode", [0, 1, 2])
def test_a_vtp_names_its_axes_in_a_field(space, mode, tmp_path):
    """As text, as compressed base64, and in appended data."""
    writer = vtkXMLPolyDataWriter()
    writer.SetDataMode(mode)

    assert mesh_space(_written(writer, tmp_path, space)) == space


@pytest.mark.parametrize("space", ["LPS", "RAS", None])
@pytest.mark.parametrize("is_packed", [False, True])
def test_a_vtk_names_its_axes_in_its_second_line(space, is_packed, tmp_path):
    """Also if the file is packed."""
    writer = vtkPolyDataWriter()
    writer.SetHeader(f"3D Slicer output. SPACE={space}" if space else "vtk output")
    data = _written(writer, tmp_path, None)

    assert mesh_space(gzip.compress(data) if is_packed else data) == space


def test_a_comment_of_a_packed_ply_names_its_axes():
    """As in one that is not packed."""
    ply = b"ply\nformat ascii 1.0\ncomment SPACE=RAS\n"

    assert mesh_space(ply) == mesh_space(gzip.compress(ply)) == "RAS"
    assert mesh_space(b"\x1f\x8b damaged") is None
