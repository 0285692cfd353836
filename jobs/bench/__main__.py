"""`python -m jobs.bench <name>`."""

from featurelib.runtime import cli
from jobs.bench import app

if __name__ == "__main__":
    cli.run(app)
