"""A finding: one line on one object or on the whole dataset, with its fix."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

SHOWN = 4
"""Number of landmarks that a line names."""

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""error: training or evaluation would be wrong. warning: a person has to decide. note: information."""


@dataclass(frozen=True)
class Finding:
    """One line of a validation.

    rule: short name of the rule. object_id: None for the whole dataset.
    message: the fault with its value and the expected value. fix: what to do about it.
    """

    rule: str
    severity: Severity
    object_id: str | None
    message: str
    fix: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the finding as one line."""
        about = f"{self.object_id}: " if self.object_id else ""
        return " ".join(f"{self.severity} [{self.rule}] {about}{self.message}; {self.fix}".split())


def first_of(texts: Sequence[str], between: str = ", ") -> str:
    """Return the first of some texts in one, and how many more there are."""
    more = [f"{len(texts) - SHOWN} more"] if len(texts) > SHOWN else []
    return between.join([*texts[:SHOWN], *more])
