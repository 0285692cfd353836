"""The drivers: what the process of a command does. Each module has `run`, which takes the flags of its command.

A driver plans, submits work to the cluster (`jobs.workers`), and writes the results. Importing one takes seconds.
"""
