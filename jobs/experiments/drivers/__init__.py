"""What each experiment does: modules with `run`, which takes the flags. Importing one takes seconds."""
