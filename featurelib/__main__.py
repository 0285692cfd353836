"""`featurelib <command>`: the table of commands. It names modules as text and imports only the one that is called."""

from cyclopts import App

from featurelib.runtime import cli

COMMANDS = {
    "demo": ("jobs.demo:demo", "Generate a small synthetic dataset and run the whole pipeline on it."),
    "pipeline": ("jobs.pipeline:pipeline", "Run all steps from dataset to report."),
    "doctor": ("jobs.doctor:doctor", "Check what this machine can do, and suggest fixes."),
    "import-dataset": (
        "jobs.import_dataset:import_dataset",
        "Create a dataset from meshes and other programs' landmark files.",
    ),
    "align": ("jobs.align:align", "Propose how to rotate meshes into a common frame, and write it."),
    "validate": ("jobs.validate:validate", "Check a dataset before computing on it."),
    "suggest": ("jobs.suggest:suggest", "List the objects to label next, and why."),
    "render": ("jobs.render:render", "Render every object from the rig's angles."),
    "train-detector": (
        "jobs.train_detector:train_detector",
        "Train the network that finds the landmark in one image.",
    ),
    "vectorize": ("jobs.vectorize:vectorize", "Run the detector on all views and collect the positions per object."),
    "train-lifter": (
        "jobs.train_lifter:train_lifter",
        "Train the lifter: from positions in the views to millimetres.",
    ),
    "train-refiner": (
        "jobs.train_refiner:train_refiner",
        "Train the networks that refine the first estimate on crops.",
    ),
    "evaluate": ("jobs.evaluate:evaluate", "Measure all models on held-out objects and write the report."),
    "predict": ("jobs.predict:predict", "Predict the landmarks of meshes without labels."),
    "export-landmarks": (
        "jobs.export_landmarks:export_landmarks",
        "Write labels or predictions for 3D Slicer, MeshLab or a spreadsheet.",
    ),
    "bench": ("jobs.bench:app", "Measure this machine: render, ingest, train, vectorize, predict, serve, plan."),
    "serve": ("serve.__main__:serve", "Serve the models over HTTP."),
}


def make_app() -> App:
    """Return the command line without importing any command's module."""
    app = App(name="featurelib", help="Find a landmark on every mesh, in millimetres.", help_epilogue=cli.EPILOGUE)
    for name, (target, summary) in COMMANDS.items():
        app.command(target, name=name, help=summary)
    app.register_install_completion_command()
    return app


def main() -> None:
    """Run the command line of the process."""
    cli.run(make_app())


if __name__ == "__main__":
    main()
