"""What the graph is built from: settings, and the YAML of a cluster."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from serve.settings import AppSettings, StageSettings

ROOT = Path(__file__).parents[2]


def test_the_cluster_file_is_made_of_settings_that_exist():
    """cluster/serve.yaml names nothing that the graph does not know."""
    import yaml

    (application,) = yaml.safe_load((ROOT / "cluster" / "serve.yaml").read_text())["applications"]
    settings = AppSettings(**application["args"])

    assert application["import_path"] == "serve.app:build_app"
    assert (settings.detector.replicas, settings.detector.max_replicas) == (2, 4)


def test_a_stage_has_a_fixed_number_of_replicas_or_bounds():
    """Without max_replicas a stage is as large as it is said to be; with it, Serve chooses."""
    fixed, growing = StageSettings(replicas=3).options(), StageSettings(replicas=1, max_replicas=4).options()

    assert fixed["num_replicas"] == 3
    assert "num_replicas" not in growing
    assert (growing["autoscaling_config"]["min_replicas"], growing["autoscaling_config"]["max_replicas"]) == (1, 4)


@pytest.mark.parametrize("wrong", [{"replicas": 0}, {"replicas": 3, "max_replicas": 2}, {"replica": 1}])
def test_settings_that_make_no_sense_are_refused(wrong):
    """Bounds the wrong way round and misspelt names are errors."""
    with pytest.raises(ValidationError):
        AppSettings(run="run", detector=wrong)


def test_a_token_is_never_shown():
    """Neither its settings nor what replicas get of it tell a token."""
    assert "correct-horse" not in repr(AppSettings(run="run", token="correct-horse"))
