import pytest

from featurelib.errors import UsageError
from jobs.bench.renderers import views_per_second


def test_two_processes_are_measured_together(layered):
    """The rate of two processes is a positive number of views per second."""
    assert views_per_second("raster", [layered], size=64, processes=2, seconds=0.1) > 1


def test_an_unknown_variant_is_rejected_with_the_known_ones():
    """The message lists the variants that can be measured."""
    with pytest.raises(UsageError, match="'vtk': expected one of raster, pyrender, pyrender-default"):
        views_per_second("vtk", [])
