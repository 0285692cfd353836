import json

import pytest

from featurelib.__main__ import make_app
from featurelib.runtime import cli

NAMES = {
    "Python",
    "packages",
    "bytecode",
    "memory",
    "disk",
    "Ray",
    "TensorFlow",
    "renderer",
    "raster",
    "GL context",
    "run",
}


def checked(capsys, *flags: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        cli.run(make_app(), ["doctor", *flags])
    return ended.value.code, capsys.readouterr().out


@pytest.mark.slow
def test_the_doctor_ends_with_code_1_if_something_is_broken(cluster, tmp_path, capsys):
    """Code 0 and a line per check; code 1 and the fix for a missing dataset."""
    code, text = checked(capsys, "--run", str(tmp_path))
    lines = text.splitlines()
    assert (code, lines[-1]) == (0, "everything needed works"), text
    names = {line[8:26].strip() for line in lines[:-1]}
    assert names >= NAMES
    assert {line.split()[0] for line in lines[:-1]} <= {"ok", "slow", "broken"}

    code, text = checked(capsys, "--dataset", str(tmp_path / "nowhere"), "--json")
    values = json.loads(text)
    broken = [check for check in values["checks"] if check["status"] == "broken" and check["is_needed"]]
    assert (code, values["is_well"], [check["name"] for check in broken]) == (1, False, ["dataset"])
    assert broken[0]["fix"]
