"""Names of mesh files."""

_PACKED = ".gz"
"""An ending that follows the ending of what is packed, as in head.ply.gz."""


def split_mesh_name(name: str) -> tuple[str, str]:
    """Return a file's object id and its ending in lower case, with the dot; `.ply.gz` is one ending."""
    inner = name[: -len(_PACKED)] if name.lower().endswith(_PACKED) else name
    object_id, dot, ending = inner.rpartition(".")
    if not dot:
        object_id, dot, ending = name.rpartition(".")
        return (object_id, dot + ending.lower()) if dot else (name, "")
    return object_id, dot + ending.lower() + name[len(inner) :].lower()
