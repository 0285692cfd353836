"""One writer per mesh format."""
