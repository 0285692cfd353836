"""`python -m jobs.experiments <name>`."""

from featurelib.runtime import cli
from jobs.experiments import app

if __name__ == "__main__":
    cli.run(app)
