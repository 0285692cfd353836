"""`python -m jobs.experiments`: the experiments behind docs/results.md. They are not part of the installed package."""

from cyclopts import App

COMMANDS = {
    "ablation": ("jobs.experiments.ablation:ablation", "Train with one design choice changed at a time."),
    "align": (
        "jobs.experiments.align:align_experiment",
        "Rotate objects at random and align them again.",
    ),
    "corruptions": (
        "jobs.experiments.corruptions:corruptions",
        "Corrupt test objects and count those that are rejected, right, or accepted and wrong.",
    ),
    "folds": (
        "jobs.experiments.folds:folds",
        "Compare the errors of folds with those on fresh objects.",
    ),
    "holdout": ("jobs.experiments.holdout:holdout", "Predict labelled objects that the run was not trained on."),
    "label-mistakes": (
        "jobs.experiments.label_mistakes:label_mistakes",
        "Plant mistakes in labels and count those that are named.",
    ),
    "learning-curve": (
        "jobs.experiments.learning_curve:learning_curve",
        "Measure errors over the number of labelled objects.",
    ),
    "set-size": (
        "jobs.experiments.set_size:set_size",
        "Measure errors, training time and cost per object over the number of landmarks.",
    ),
    "suggest-curve": (
        "jobs.experiments.suggest_curve:suggest_curve",
        "Compare labels that `suggest` chooses with labels chosen at random.",
    ),
}

app = App(name="experiments", help=__doc__, version_flags=())
for _name, (_target, _summary) in COMMANDS.items():
    app.command(_target, name=_name, help=_summary)
