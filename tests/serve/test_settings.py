"""The settings of the server; tests/test_cluster.py has those of the cluster files."""

import pytest
from pydantic import ValidationError

from serve.settings import AppSettings, StageSettings


def test_a_stage_has_a_fixed_number_of_replicas_or_bounds():
    """Without max_replicas the number is `replicas`; with it, Ray Serve scales within the bounds."""
    fixed, growing = StageSettings(replicas=3).options(), StageSettings(replicas=1, max_replicas=4).options()

    assert fixed["num_replicas"] == 3
    assert "num_replicas" not in growing
    assert (growing["autoscaling_config"]["min_replicas"], growing["autoscaling_config"]["max_replicas"]) == (1, 4)


@pytest.mark.parametrize("wrong", [{"replicas": 0}, {"replicas": 3, "max_replicas": 2}, {"replica": 1}])
def test_invalid_settings_are_rejected(wrong):
    """Swapped bounds and misspelt names are errors."""
    with pytest.raises(ValidationError):
        AppSettings(run="run", detector=wrong)


def test_a_token_is_never_shown():
    """The representation of the settings does not contain the token."""
    assert "correct-horse" not in repr(AppSettings(run="run", token="correct-horse"))
