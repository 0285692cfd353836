"""What a check has to say: one line about one object or the whole dataset, and how to fix it."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""error: training or measuring on this would be wrong. warning: look at it. note: what was found, or left out."""


@dataclass(frozen=True)
class Finding:
    """One line of a validation.

    rule: its short name. object_id: None if it is about the whole dataset.
    says: what was found, with its value and what was expected. fix: what to do about it.
    """

    rule: str
    severity: Severity
    object_id: str | None
    says: str
    fix: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the finding as one line."""
        about = f"{self.object_id}: " if self.object_id else ""
        return " ".join(f"{self.severity} [{self.rule}] {about}{self.says}; {self.fix}".split())
