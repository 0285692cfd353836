"""One strict reader per mesh format."""
