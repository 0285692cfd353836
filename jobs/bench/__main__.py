"""`python -m jobs.bench <what>`."""

from featurelib.runtime import cli
from jobs.bench import app

if __name__ == "__main__":
    cli.run(app)
