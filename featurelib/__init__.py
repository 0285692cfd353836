"""Find a landmark on every mesh: geometry, images, tables and networks, without a cluster (ARCHITECTURE.md).

This package exports the public API (docs/python.md). A name's module is imported on first access, which keeps the
import light for processes that only render.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featurelib.datasets.dataset import Dataset as Dataset
    from featurelib.datasets.dataset import open_dataset as open_dataset
    from featurelib.datasets.synthetic import make_body as make_body
    from featurelib.datasets.synthetic import write_dataset as write_dataset
    from featurelib.errors import FeaturelibError as FeaturelibError
    from featurelib.geometry import DEFAULT_RIG as DEFAULT_RIG
    from featurelib.geometry import Alignment as Alignment
    from featurelib.geometry import Camera as Camera
    from featurelib.geometry import Orthographic as Orthographic
    from featurelib.geometry import Perspective as Perspective
    from featurelib.geometry import Rays as Rays
    from featurelib.geometry import Rig as Rig
    from featurelib.geometry import View as View
    from featurelib.geometry import triangulate as triangulate
    from featurelib.meshes import Mesh as Mesh
    from featurelib.meshes import load_mesh as load_mesh
    from featurelib.rendering import open_renderer as open_renderer

_NAMES = {
    "datasets.dataset": ("Dataset", "open_dataset"),
    "errors": ("FeaturelibError",),
    "geometry": (
        "DEFAULT_RIG",
        "Alignment",
        "Camera",
        "Orthographic",
        "Perspective",
        "Rays",
        "Rig",
        "View",
        "triangulate",
    ),
    "meshes": ("Mesh", "load_mesh"),
    "rendering": ("open_renderer",),
    "datasets.synthetic": ("make_body", "write_dataset"),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    """Return a public name from its module."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
