"""What each benchmark does: modules with `run`, which takes the flags. Importing one takes seconds."""
