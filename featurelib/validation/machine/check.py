"""The result of one check of the machine."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any, Literal

from featurelib.errors import DataError

Status = Literal["ok", "slow", "broken"]


@dataclass(frozen=True)
class Check:
    """The result of a check.

    message: what was found. fix: what to do about it; empty if the status is ok.
    is_needed: whether any command fails without it.
    """

    name: str
    status: Status
    message: str
    fix: str = ""
    is_needed: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the check as one line."""
        optional = "" if self.is_needed or self.status == "ok" else " (not needed)"
        fix = f"; {self.fix}" if self.fix else ""
        return " ".join(f"{self.status:8}{self.name:18}{self.message}{fix}{optional}".splitlines())


def run_code(code: str, seconds: float = 120.0) -> dict[str, Any]:
    """Run Python code in a separate process, and return the JSON that it prints; a crash ends only that process.

    Raises:
        DataError: if it fails, with the last line of its stderr, if it takes too long, or if it prints no JSON.
    """
    try:
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=seconds, check=True)
        values: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        raise DataError(f"no answer in {seconds:g} s") from None
    except subprocess.CalledProcessError as error:
        lines = [line for line in str(error.stderr).splitlines() if line.strip()]
        raise DataError(lines[-1].strip()[:200] if lines else f"ended with code {error.returncode}") from None
    except (IndexError, ValueError):
        raise DataError("printed no JSON") from None
    return values
