"""`python -m jobs.experiments`: the experiments behind docs/results.md. They are not installed with the package."""

from cyclopts import App

COMMANDS = {
    "ablation": (
        "jobs.experiments.ablation:ablation",
        "Train with one lesson left out at a time.",
    ),
    "align": (
        "jobs.experiments.align:align_experiment",
        "Rotate objects at random and align them again.",
    ),
    "corruptions": (
        "jobs.experiments.corruptions:corruptions",
        "Corrupt test objects: how many are rejected, right, or accepted and wrong.",
    ),
    "holdout": ("jobs.experiments.holdout:holdout", "Predict labelled objects that a run has never seen."),
    "learning-curve": (
        "jobs.experiments.learning_curve:learning_curve",
        "Measure errors over the number of labelled objects.",
    ),
}

app = App(name="experiments", help=__doc__, version_flags=())
for _name, (_target, _summary) in COMMANDS.items():
    app.command(_target, name=_name, help=_summary)
