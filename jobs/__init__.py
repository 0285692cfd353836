"""The batch jobs on Ray: one module a command, each `featurelib <command>` and `python -m jobs.<command>`."""
