"""The batch jobs on Ray: one module a command, each `featurelib <command>` and `python -m jobs.<command>`.

The module of a command has its flags and its function, and is imported for `--help`. `drivers` has what the function
does, and `workers` what runs on the cluster.
"""
