"""`featurelib <command>`: the table of commands. It names modules as text and loads the one that is called."""

from cyclopts import App

from featurelib.runtime import cli

COMMANDS = {
    "demo": ("jobs.demo:demo", "Make a small synthetic dataset and run the whole path on it."),
    "pipeline": ("jobs.pipeline:pipeline", "Dataset to report in one command."),
    "doctor": ("jobs.doctor:doctor", "Say what this machine can do, and what to fix."),
    "import-dataset": ("jobs.import_dataset:import_dataset", "Make a dataset from meshes and other programs' points."),
    "align": ("jobs.align:align", "Propose how meshes have to be turned, and write it."),
    "validate": ("jobs.validate:validate", "Check a dataset before any compute."),
    "render": ("jobs.render:render", "Render every object from the rig's angles."),
    "train-detector": (
        "jobs.train_detector:train_detector",
        "Train the network that finds the landmark in one image.",
    ),
    "vectorize": ("jobs.vectorize:vectorize", "Run the detector over all views and gather each object's positions."),
    "train-lifter": (
        "jobs.train_lifter:train_lifter",
        "Train the second stage: positions in the views to millimetres.",
    ),
    "train-refiner": (
        "jobs.train_refiner:train_refiner",
        "Train the crop networks that correct a first estimate.",
    ),
    "evaluate": ("jobs.evaluate:evaluate", "Measure everything on held-out objects and write the report."),
    "predict": ("jobs.predict:predict", "Find the landmarks of meshes without labels."),
    "export-landmarks": (
        "jobs.export_landmarks:export_landmarks",
        "Write labels or predictions for 3D Slicer, MeshLab or a spreadsheet.",
    ),
    "bench": ("jobs.bench:app", "Measure this machine: render, ingest, train, vectorize, predict, serve, plan."),
    "serve": ("serve.__main__:serve", "Answer over HTTP."),
}


def make_app() -> App:
    """Return the command line; no command's module is imported."""
    app = App(name="featurelib", help="Find a feature point on every mesh, in millimetres.", help_epilogue=cli.EPILOGUE)
    for name, (target, summary) in COMMANDS.items():
        app.command(target, name=name, help=summary)
    app.register_install_completion_command()
    return app


def main() -> None:
    """Run the command line of the process."""
    cli.run(make_app())


if __name__ == "__main__":
    main()
